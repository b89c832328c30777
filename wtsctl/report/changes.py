"""A plan of changes as text and as JSON; shared by `deploy` and `diff`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.plan.changes import Action, counted, digest
from wtsctl.plan.impact import Effect
from wtsctl.plan.prune import Reason
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wtsctl.plan.changes import Change, Field
    from wtsctl.plan.impact import Impact
    from wtsctl.plan.prune import Left
    from wtsctl.report.terminal import Terminal

_LONG = 160


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """What a deploy would do, and what that means.

    Attributes:
        changes: one an object, in the order of the deploy.
        impacts: one a server that is touched.
        left: what stays though the catalog no longer has it.
    """

    changes: Sequence[Change]
    impacts: Sequence[Impact] = ()
    left: Sequence[Left] = ()

    def data(self) -> dict[str, Any]:
        """The plan in `-o json`; docs/reference/status-fields.md describes the fields."""
        return {
            "hash": digest(self.changes),
            "changes": [one.data() for one in self.changes],
            "impact": [one.data() for one in self.impacts],
            "left": [one.data() for one in self.left],
        }

    def lines(self, *, created: bool) -> Iterator[str]:
        """The plan in words, a line each; with `created` also what is only created."""
        yield f"plan: {counted(self.changes) or 'nothing to do'}"
        for change in self.changes:
            if change.action is Action.UNCHANGED or (change.action is Action.CREATE and not created):
                continue
            yield f"  {change.action.value} {change.identity}{_about(change)}"
            for field in change.fields:
                yield from (f"      {line}" for line in field_lines(field))
        yield from self.effects()
        yield from self.remaining(kept=created)

    def remaining(self, *, kept: bool) -> Iterator[str]:
        """What stays though the catalog no longer has it, a line each; with `kept` also what an annotation keeps."""
        unwanted = [one for one in self.left if one.reason is Reason.NOT_ASKED]
        if unwanted:
            yield f"  {unwanted[0].note}:"
        yield from (f"    {printable(one.identity)}" for one in unwanted)
        for one in self.left:
            if one.reason is not Reason.NOT_ASKED and (kept or one.reason is not Reason.KEPT):
                yield f"  left: {printable(one.identity)} ({printable(one.note)})"

    def effects(self) -> Iterator[str]:
        """What it means for users, a line each server; those that keep serving in one."""
        keeping = [one.name for one in self.impacts if one.effect is Effect.KEEPS_SERVING]
        for one in self.impacts:
            if one.effect not in {Effect.KEEPS_SERVING, Effect.KEEPS_OFF}:
                yield f"  {one.text}"
        if keeping and len(keeping) < len(self.impacts):
            yield f"  {', '.join(keeping)} keep{'s' if len(keeping) == 1 else ''} serving"


def show_changes(terminal: Terminal, report: ChangeReport) -> None:
    """Write what a deploy would change on stdout, below something else."""
    lines = list(report.lines(created=False))
    lines[0] = lines[0].replace("plan:", "a deploy changes:", 1)
    terminal.write("\n" + "".join(f"{line}\n" for line in lines))


def _about(change: Change) -> str:
    parts = [change.note, f"takes over {', '.join(change.taken)}" if change.taken else ""]
    text = "; ".join(printable(part) for part in parts if part)
    return f" ({text})" if text else ""


def field_lines(field: Field) -> Iterator[str]:
    """One field: `path: before -> after`, or of lists what goes and what comes."""
    before, after = field.before, field.after
    if isinstance(before, list) and isinstance(after, list):
        before, after = _joined(before), _joined(after)
        gone = [one for one in before if one not in after]
        come = [one for one in after if one not in before]
        yield f"{printable(field.path)}:" + ("" if gone or come else " in another order")
        yield from (f"  - {_value(one)}" for one in gone)
        yield from (f"  + {_value(one)}" for one in come)
    elif before is None:
        yield f"{printable(field.path)}: + {_value(after)}"
    elif after is None:
        yield f"{printable(field.path)}: - {_value(before)}"
    else:
        yield f"{printable(field.path)}: {_value(before)} -> {_value(after)}"


def _joined(items: list[Any]) -> list[Any]:
    """Arguments of a command line with each flag beside its value: alone, 512 and 256 say little."""
    if not all(isinstance(one, str) for one in items):
        return items
    joined: list[Any] = []
    for one in items:
        last = joined[-1] if joined else ""
        flag = last.startswith("--") and "=" not in last and " " not in last
        if flag and not one.startswith("-"):
            joined[-1] = f"{last} {one}"
        else:
            joined.append(one)
    return joined


def _value(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    shown = printable(" ".join(text.split()) if "\n" in text else text)
    return shown if len(shown) <= _LONG else f"{shown[: _LONG - 3]}..."
