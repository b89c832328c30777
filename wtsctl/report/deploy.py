"""What `deploy` says: what was applied and what was not, and what became of each model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.cluster.apply import Outcome
from wtsctl.errors import Problem
from wtsctl.health.wait import Verdict
from wtsctl.plan.prune import STAGE
from wtsctl.report.models import model_data, phase_text, plain_table, show_findings, span
from wtsctl.report.preflight import records_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.apply import Applied, ApplyResult
    from wtsctl.cluster.observe import Evidence
    from wtsctl.cluster.prune import Pruned
    from wtsctl.health.wait import Waited
    from wtsctl.plan.preflight.record import Record
    from wtsctl.report.changes import ChangeReport
    from wtsctl.report.terminal import Terminal

_STYLES = {Outcome.FAILED: "bold red", Outcome.UNKNOWN: "red", Outcome.NOT_APPLIED: "yellow", Outcome.UNCHANGED: "dim"}


def counts(objects: Sequence[Applied | Pruned]) -> str:
    """`2 created, 10 unchanged`, in the order of `Outcome`."""
    found = Counter(one.outcome for one in objects)
    return ", ".join(f"{found[outcome]} {outcome.value}" for outcome in Outcome if found[outcome])


def applied_line(applied: Applied) -> str:
    """One object on stderr: `llama-serve/Service/vllm-watt-8b created`."""
    note = f" ({applied.note})" if applied.note else ""
    return f"{applied.manifest.identity} {applied.outcome.value}{note}"


def pruned_line(pruned: Pruned) -> str:
    """One object on stderr: `llama-serve/Service/vllm-watt-8b pruned`."""
    note = f" ({pruned.note})" if pruned.note else ""
    return f"{pruned.identity} {pruned.outcome.value}{note}"


def unready(waited: Mapping[str, Waited], timeout: float) -> list[Problem]:
    """What a wait that did not end well came to; the models' own causes stand in the report."""
    problems = []
    failed = [name for name, one in waited.items() if one.verdict is Verdict.FAILED]
    if failed:
        problems.append(Problem("not-ready.failed", f"cannot start: {', '.join(failed)}"))
    slow = [
        f"{name} ({one.health.step or one.health.reason})"
        for name, one in waited.items()
        if one.verdict is Verdict.TIMED_OUT
    ]
    if slow:
        hint = "they go on starting; a larger --timeout waits longer"
        problems.append(Problem("not-ready.timeout", f"not ready within {timeout:g} s: {', '.join(slow)}", hint=hint))
    return problems


@dataclass(frozen=True, slots=True)
class DeployReport:
    """Everything a deploy has to tell.

    Attributes:
        applied: what became of each object.
        waited: what became of each model; empty where nothing was waited for.
        endpoints: where each model answers inside the cluster.
        evidence: events and logs of the models that are not ready.
        warnings: of the API server.
        dry_run: whether nothing was changed.
        plan: what was to be done; None where it did not come to that.
        pruned: what became of each object that the catalog no longer has; empty without --prune.
        checked: what the checks before it found.
    """

    applied: ApplyResult
    waited: Mapping[str, Waited]
    endpoints: Mapping[str, str]
    evidence: Mapping[str, Evidence]
    warnings: Sequence[str]
    dry_run: bool
    plan: ChangeReport | None = None
    pruned: Sequence[Pruned] = ()
    checked: Sequence[Record] = ()

    def data(self) -> dict[str, Any]:
        """The `data` of `deploy -o json`; docs/reference/status-fields.md describes the fields."""
        return {
            "dryRun": self.dry_run,
            "plan": self.plan.data() if self.plan else None,
            "objects": [
                {
                    "identity": one.manifest.identity,
                    "stage": one.manifest.stage.word,
                    "model": one.manifest.model,
                    "outcome": one.outcome.value,
                    "note": one.note,
                }
                for one in self.applied.objects
            ]
            + [
                {
                    "identity": one.identity,
                    "stage": STAGE,
                    "model": one.model,
                    "outcome": one.outcome.value,
                    "note": one.note,
                }
                for one in self.pruned
            ],
            "models": [
                model_data(one.health, self.endpoints[name], self.evidence.get(name))
                | {
                    "verdict": one.verdict.value,
                    "seconds": round(one.seconds, 3),
                    "step": str(one.health.step or ""),
                    "secondsFromEvent": None if one.noticed is None else round(one.noticed, 3),
                }
                for name, one in self.waited.items()
            ],
            "warnings": list(self.warnings),
            "preflight": records_data(one for one in self.checked if one.counts),
        }

    def show(self, terminal: Terminal) -> None:
        """Write the models on stdout, or the objects where no model was waited for."""
        if self.waited:
            self._show_models(terminal)
        elif self.dry_run and self.plan:
            for line in self.plan.lines(created=True):
                terminal.write(f"{line}\n")
        elif self.applied.objects:
            self._show_objects(terminal)

    def _show_objects(self, terminal: Terminal) -> None:
        from rich.text import Text

        table = plain_table()
        for name in ("OBJECT", "OUTCOME", "NOTE"):
            table.add_column(name, overflow="fold")
        rows = [(one.manifest.identity, one.outcome, one.note) for one in self.applied.objects]
        rows += [(one.identity, one.outcome, one.note) for one in self.pruned]
        for identity, outcome, note in rows:
            table.add_row(identity, Text(outcome.value, style=_STYLES.get(outcome, "green")), note)
        terminal.print(table)

    def _show_models(self, terminal: Terminal) -> None:
        table = plain_table()
        for name in ("MODEL", "RUNTIME", "RESULT", "PHASE", "PODS", "TIME"):
            table.add_column(name, overflow="fold")
        for name, one in self.waited.items():
            table.add_row(
                name,
                one.health.subject.runtime,
                phase_text(one.verdict.value),
                phase_text(one.health.shown),
                f"{one.health.ready_pods}/{one.health.wanted}",
                span(one.seconds),
            )
        terminal.print(table)
        noticed = {name: one.noticed for name, one in self.waited.items() if one.noticed is not None}
        show_findings(terminal, [one.health for one in self.waited.values()], self.evidence, noticed)
