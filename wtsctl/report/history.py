"""What was deployed before: a table of all records, or one of them whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable
from wtsctl.report.duration import duration
from wtsctl.report.models import plain_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.plan.history import Entry
    from wtsctl.report.terminal import Terminal


def entry_data(one: Entry) -> dict[str, Any]:
    """One record in `-o json`; docs/reference/history-fields.md describes the fields."""
    return {
        "revision": one.revision,
        "result": one.shown,
        "complete": one.complete,
        "started": one.started,
        "ended": one.ended or None,
        "user": one.user,
        "clusterUser": one.cluster_user,
        "wtsctl": one.version,
        "catalogHash": one.catalog_hash,
        "profile": one.profile,
        "selection": list(one.selection),
        "rollbackTo": one.rollback,
        "planHash": one.plan_hash,
        "counts": dict(one.counts),
        "stored": [name.removesuffix(".gz") for name in one.stored],
        "secondsToReady": dict(one.seconds),
        "models": dict(one.verdicts),
        "errors": list(one.errors),
    }


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """All records, newest first."""

    entries: Sequence[Entry]

    def data(self) -> dict[str, Any]:
        """The `data` of `history -o json`."""
        return {"revisions": [entry_data(one) for one in self.entries]}

    def show(self, terminal: Terminal) -> None:
        """Write a row a record on stdout."""
        table = plain_table()
        for name in ("REVISION", "WHEN", "WHO", "RESULT", "CHANGES", "SELECTION"):
            table.add_column(name, overflow="fold")
        for one in self.entries:
            counted = changed(one.counts) if one.readable else "unknown"
            cells = (one.started, one.user, one.shown, counted, one.asked)
            table.add_row(str(one.revision), *(printable(text) or "-" for text in cells))
        if self.entries:
            terminal.print(table)


@dataclass(frozen=True, slots=True)
class RecordReport:
    """One record with its plan.

    Attributes:
        entry: at a glance.
        changes: of the plan, as stored; empty where that was too large.
    """

    entry: Entry
    changes: Sequence[Mapping[str, Any]]

    def data(self) -> dict[str, Any]:
        """The `data` of `history N -o json`."""
        return entry_data(self.entry) | {"changes": list(self.changes)}

    def show(self, terminal: Terminal) -> None:
        """Write everything on stdout, a line a fact."""
        one = self.entry
        who = f"{one.user} as {one.cluster_user}" if one.cluster_user else one.user
        facts = [
            ("revision", str(one.revision)),
            ("result", one.shown + (f" ({', '.join(one.errors)})" if one.errors else "")),
            ("started", one.started),
            ("ended", one.ended or "-"),
            ("who", who),
            ("wtsctl", one.version),
            ("selection", one.asked),
            ("profile", one.profile or "-"),
            ("models.yaml", f"sha256:{one.catalog_hash}"),
            ("plan", f"sha256:{one.plan_hash}"),
            ("stored", ", ".join(name.removesuffix(".gz") for name in one.stored) or "nothing: too large"),
        ]
        lines = [f"{name + ':':<13}{printable(text)}" for name, text in facts]
        if one.verdicts or one.seconds:
            lines.append("models:")
            names = dict.fromkeys((*one.verdicts, *one.seconds))
            for name in names:
                took = f", last start took {duration(one.seconds[name])}" if name in one.seconds else ""
                lines.append(f"  {printable(name)}: {printable(one.verdicts.get(name, 'not waited for'))}{took}")
        shown = [found for found in self.changes if found.get("action") != "unchanged"]
        lines.append(f"changes:     {changed(one.counts)}")
        for found in shown:
            paths = found.get("fields") or []
            text = f"{found.get('action')} {found.get('identity')}" + (f": {', '.join(paths)}" if paths else "")
            lines.append(f"  {printable(text)}")
        terminal.write("".join(f"{line}\n" for line in lines))


def changed(counts: Mapping[str, int]) -> str:
    """`2 create, 1 configure`; what was unchanged is not counted."""
    return ", ".join(f"{count} {action}" for action, count in counts.items() if action != "unchanged") or "none"
