"""What `diff` says: the differences field by field, or as unified diffs of YAML documents."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wtsctl.plan.changes import Action, Change, masked
from wtsctl.printable import printable
from wtsctl.report.changes import ChangeReport

if TYPE_CHECKING:
    from wtsctl.report.terminal import Terminal

_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One object: its change, and both states.

    Attributes:
        change: what a deploy does with it.
        live: as it is; None where there is none.
        after: as it would be; the manifest, where the API server was not asked; None where it would be gone.
    """

    change: Change
    live: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class DiffReport:
    """Everything that a deploy would change, and what that means."""

    pairs: Sequence[Pair]
    plan: ChangeReport

    def data(self) -> dict[str, Any]:
        """The `data` of `diff -o json`: a plan; docs/reference/status-fields.md describes the fields."""
        return self.plan.data()

    def show_fields(self, terminal: Terminal) -> None:
        """Write what differs on stdout, a line a field; nothing where nothing does."""
        if not self._changed:
            self._note_none(terminal)
            return
        _print(terminal, list(self.plan.lines(created=True))[1:])

    def show_unified(self, terminal: Terminal) -> None:
        """Write a unified diff of each object that differs on stdout, in YAML; nothing where none does."""
        if not self._changed:
            self._note_none(terminal)
        for one in self._changed:
            _print(terminal, list(_unified(one)))

    def _note_none(self, terminal: Terminal) -> None:
        terminal.note(f"no differences in {len(self.pairs)} objects")
        for line in self.plan.remaining(kept=False):
            terminal.note(line)

    @property
    def _changed(self) -> list[Pair]:
        return [one for one in self.pairs if one.change.action is not Action.UNCHANGED]


def _unified(pair: Pair) -> Iterator[str]:
    before, after = masked(pair.live, pair.after)
    name = pair.change.identity
    yield from difflib.unified_diff(
        _yaml(before),
        _yaml(after),
        f"live/{name}" if before else "/dev/null",
        f"wanted/{name}" if after else "/dev/null",
        lineterm="",
    )


def _yaml(item: Mapping[str, Any] | None) -> list[str]:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return [] if item is None else yaml.dump(item, Dumper=dumper, sort_keys=True, width=10_000).splitlines()


def _print(terminal: Terminal, lines: Sequence[str]) -> None:
    from rich.text import Text

    shown = Text()
    for line in lines:
        shown.append(f"{printable(line)}\n", style=_STYLES.get(line.lstrip()[:1], ""))
    shown.right_crop(1)
    terminal.print(shown)
