"""A wait as it goes on, on stderr: a table that is redrawn on a screen, a line at each change elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable
from wtsctl.report.models import phase_text, plain_table, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.health.model import ModelHealth
    from wtsctl.health.wait import Progress
    from wtsctl.report.terminal import Terminal

_REASON = 100
# What every start goes through says nothing beside the name of the phase.
_ROUTINE = frozenset(
    {
        "ContainerCreating",
        "Asked",
        "ContainersNotReady",
        "Loading",
        "NotAsked",
        "NotInEndpoints",
        "NotObserved",
        "OtherEndpoints",
        "PodInitializing",
        "Unavailable",
        "Updating",
    }
)


class ProgressView:
    """Shows a wait.

    Args:
        terminal: where.
        live: the rich Live to draw on, or None to write lines.
        trouble: why what is shown may be out of date, or an empty text.
        usual: seconds that a start of a model took before, by its name, where that is known.
    """

    def __init__(
        self,
        terminal: Terminal,
        live: Any,
        trouble: Callable[[], str],
        usual: Mapping[str, float] | None = None,
    ) -> None:
        self._usual = usual or {}
        self._terminal = terminal
        self._live = live
        self._trouble = trouble
        self._said: dict[str, str] = {}
        self._since: dict[str, tuple[str, float]] = {}

    def show(self, progress: Progress) -> None:
        """Show one look at all models."""
        trouble = self._trouble()
        if self._live is None:
            self._lines(progress, trouble)
        else:
            self._live.update(self._table(progress, trouble), refresh=True)

    def _lines(self, progress: Progress, trouble: str) -> None:
        at = span(progress.elapsed)
        if trouble != self._said.get(""):
            self._said[""] = trouble
            if trouble:
                self._terminal.note(f"[{at}] {trouble}")
        for name, health in progress.healths.items():
            text = self._text(name, health, progress)
            if text != self._said.get(name):
                first = name not in self._said
                self._said[name] = text
                usual = self._usual.get(name)
                before = f" (the last start took {span(usual)})" if first and usual and text != "ready" else ""
                self._terminal.note(f"[{at}] {name}: {text}{before}")

    @staticmethod
    def _text(name: str, health: ModelHealth, progress: Progress) -> str:
        verdict = progress.verdicts.get(name)
        if verdict is not None and verdict.value == "ready":
            return "ready"
        # A failure is called one once it has lasted; until then the pod may still get over it.
        phase = "failed" if verdict is not None else health.phase.value
        said = phase if health.reason in {"", *_ROUTINE} else f"{phase}: {health.reason}"
        if health.step is not None and verdict is None:
            # How far it is changes with every file; that is for a screen.
            said = f"{said}: {health.step.what}"
        noticed = progress.noticed.get(name)
        return said if noticed is None else f"{said}, {noticed:.1f} s after the cluster said so"

    def _table(self, progress: Progress, trouble: str) -> Any:
        from rich.console import Group
        from rich.text import Text

        table = plain_table()
        for name in ("MODEL", "PHASE", "PODS", "SINCE"):
            table.add_column(name, no_wrap=True)
        table.add_column("", no_wrap=True, overflow="ellipsis")
        for name, health in progress.healths.items():
            verdict = progress.verdicts.get(name)
            phase = verdict.value if verdict is not None else health.phase.value
            began = self._began(name, phase, progress.elapsed)
            what = "" if health.ready else str(health.step or printable(health.message, _REASON))
            if health.reason and health.reason not in _ROUTINE and not health.ready:
                reason = printable(health.reason)
                what = f"{reason}: {what}" if what else reason
            usual = self._usual.get(name)
            if usual and verdict is None:
                what = f"{self._left(usual, progress.elapsed)}{f'; {what}' if what else ''}"
            pods = f"{health.ready_pods}/{health.wanted}"
            table.add_row(name, phase_text(phase), pods, span(progress.elapsed - began), Text(what, style="dim"))
        done = sum(verdict.value == "ready" for verdict in progress.verdicts.values())
        last = f"{done} of {len(progress.healths)} ready, {span(progress.elapsed)}"
        return Group(table, Text(f"{last}  {trouble}" if trouble else last))

    @staticmethod
    def _left(usual: float, elapsed: float) -> str:
        """How much of the time is left that the last start took."""
        if elapsed < usual:
            return f"about {span(usual - elapsed)} left"
        return f"longer than the last start, {span(usual)}"

    def _began(self, name: str, phase: str, elapsed: float) -> float:
        known = self._since.get(name)
        if known is None or known[0] != phase:
            self._since[name] = known = (phase, elapsed)
        return known[1]
