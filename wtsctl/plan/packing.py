"""Which pods go on which node: first a quick try, then a bounded search that is exact where it ends.

Nothing in here knows of Kubernetes: items with needs go into bins with room. The result never depends on chance,
and `IMPOSSIBLE` is said only where it is proven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

# What all searches of one call may look at together (items and bins of every try): a few seconds.
_WORK = 5_000_000
# More items than this are not searched through, only counted.
_SEARCHED = 200


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be put somewhere.

    Attributes:
        needs: how much it takes of each resource.
        allowed: the bins it may go into.
    """

    needs: tuple[int, ...]
    allowed: frozenset[int]


class Outcome(StrEnum):
    """What became of a group."""

    PLACED = "placed"
    IMPOSSIBLE = "impossible"
    GAVE_UP = "gave-up"


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of one group: with `PLACED`, the bin of each of its items."""

    outcome: Outcome
    bins: tuple[int, ...] = ()


Group = Sequence[Item]
Room = tuple[tuple[int, ...], ...]


def pack(groups: Sequence[Group], room: Sequence[Sequence[int]], work: int = _WORK) -> tuple[Packed, ...]:
    """Put groups of items into bins, each group wholly or not at all.

    Where not all of them fit together, earlier groups come first: a group is placed if it fits beside all groups
    before it that were placed, for which those may move.

    Args:
        groups: items that only count together.
        room: what each bin has of each resource.
        work: how many items and bins may be looked at in all before a search gives up.
    """
    if not room:
        return tuple(Packed(Outcome.IMPOSSIBLE if group else Outcome.PLACED) for group in groups)
    start: Room = tuple(tuple(have) for have in room)
    budget = _Budget(work)
    everything = [item for group in groups for item in group]
    placed = _quickly(everything, start) or _search(everything, start, budget)
    if isinstance(placed, list):
        return tuple(_outcomes(groups, placed))
    return tuple(_one_by_one(groups, start, budget))


def together(groups: Sequence[Group], room: Sequence[Sequence[int]], work: int = _WORK // 10) -> bool:
    """Whether a way was found to place all of them; False proves nothing."""
    if not room:
        return not any(groups)
    start: Room = tuple(tuple(have) for have in room)
    items = [item for group in groups for item in group]
    if not _possible(items, start):
        return False
    return _quickly(items, start) is not None or isinstance(_search(items, start, _Budget(work)), list)


def _outcomes(groups: Sequence[Group], bins: list[int]) -> Iterator[Packed]:
    at = 0
    for group in groups:
        yield Packed(Outcome.PLACED, tuple(bins[at : at + len(group)]))
        at += len(group)


def _one_by_one(groups: Sequence[Group], start: Room, budget: _Budget) -> list[Packed]:
    results: list[Packed] = [Packed(Outcome.GAVE_UP)] * len(groups)
    kept: list[int] = []
    room = start
    # What is kept only grows, so that an equal group has no better chance later.
    refused: dict[tuple[Item, ...], Packed] = {}
    for at, group in enumerate(groups):
        known = refused.get(tuple(group))
        if known is not None:
            results[at] = known
            continue
        beside = _quickly(group, room)
        if beside is not None:
            results[at] = Packed(Outcome.PLACED, tuple(beside))
            kept.append(at)
            room = _taken(room, group, beside)
            continue
        together = [*kept, at]
        items = [item for one in together for item in groups[one]]
        moved = _quickly(items, start) or _search(items, start, budget)
        if not isinstance(moved, list):
            results[at] = refused[tuple(group)] = Packed(Outcome.IMPOSSIBLE if moved is None else Outcome.GAVE_UP)
            continue
        kept = together
        for one, outcome in zip(kept, _outcomes([groups[one] for one in kept], moved), strict=True):
            results[one] = outcome
        room = _taken(start, items, moved)
    return results


def _taken(room: Room, items: Sequence[Item], bins: Sequence[int]) -> Room:
    left = [list(have) for have in room]
    for item, at in zip(items, bins, strict=True):
        left[at] = [have - need for have, need in zip(left[at], item.needs, strict=True)]
    return tuple(tuple(have) for have in left)


def _fits(item: Item, have: Sequence[int]) -> bool:
    # What is not needed may well be overdrawn.
    return all(need <= left for need, left in zip(item.needs, have, strict=True) if need)


def _order(items: Sequence[Item], room: Room) -> list[int]:
    """The hardest first: the largest share of what all bins have, then the fewest bins."""
    totals = [max(1, sum(max(0, have) for have in column)) for column in zip(*room, strict=True)]

    def hardness(at: int) -> tuple[float, int, tuple[int, ...], int]:
        share = max((need / total for need, total in zip(items[at].needs, totals, strict=True)), default=0.0)
        return (-share, len(items[at].allowed), items[at].needs, at)

    return sorted(range(len(items)), key=hardness)


def _quickly(items: Sequence[Item], room: Room) -> list[int] | None:
    """A bin for each item, the fullest that it fits into; None where that leads nowhere, which proves nothing."""
    left = [list(have) for have in room]
    bins = [0] * len(items)
    for at in _order(items, room):
        item = items[at]
        fitting = [(_worth(item, left[one]), one) for one in sorted(item.allowed) if _fits(item, left[one])]
        if not fitting:
            return None
        chosen = min(fitting)[1]
        bins[at] = chosen
        left[chosen] = [have - need for have, need in zip(left[chosen], item.needs, strict=True)]
    return bins


def _worth(item: Item, have: Sequence[int]) -> tuple[int, ...]:
    # Resources come with devices first: a pod without a GPU should leave the nodes with GPUs alone.
    return tuple(left - need for need, left in zip(item.needs, have, strict=True))


class _Budget:
    def __init__(self, work: int) -> None:
        self.left = work


class _GaveUp:
    """The search was not finished."""


_GAVE_UP = _GaveUp()


def _search(items: Sequence[Item], room: Room, budget: _Budget) -> list[int] | _GaveUp | None:
    """A bin for each item; None where there is no way, which is then proven; or that the search gave up."""
    if not _possible(items, room):
        return None
    if len(items) > _SEARCHED:
        return _GAVE_UP
    order = _order(items, room)
    sorted_items = [items[at] for at in order]
    found = _Search(sorted_items, room, budget).run()
    if not isinstance(found, list):
        return found
    bins = [0] * len(items)
    for at, chosen in zip(order, found, strict=True):
        bins[at] = chosen
    return bins


def _possible(items: Sequence[Item], room: Room) -> bool:
    """Whether counting alone allows it: places for each kind of item, and the sum of each resource."""
    kinds: dict[Item, int] = {}
    for item in items:
        kinds[item] = kinds.get(item, 0) + 1
    for item, count in kinds.items():
        places = 0
        for at in item.allowed:
            each = (left // need for need, left in zip(item.needs, room[at], strict=True) if need)
            places += max(0, min(each, default=count))
        if places < count:
            return False
    reachable = {at for item in items for at in item.allowed}
    for resource in range(len(room[0]) if room else 0):
        wanted = sum(item.needs[resource] for item in items)
        if wanted and wanted > sum(max(0, room[at][resource]) for at in reachable):
            return False
    return True


class _Search:
    """Depth first, the hardest item first; states that were seen to lead nowhere are not tried again."""

    def __init__(self, items: Sequence[Item], room: Room, budget: _Budget) -> None:
        self._items = items
        self._left = [tuple(have) for have in room]
        self._budget = budget
        self._dead: set[tuple[int, int, Room]] = set()
        # Bins that no item tells apart, but by what is left in them, are interchangeable.
        self._class = [
            frozenset(kind for kind, item in enumerate(items) if at in item.allowed) for at in range(len(room))
        ]

    def run(self) -> list[int] | _GaveUp | None:
        return self._place(0, 0)

    def _place(self, depth: int, least: int) -> list[int] | _GaveUp | None:
        """Bins for the items from `depth` on; an item like the one before it goes into no earlier bin."""
        if depth == len(self._items):
            return []
        state = (depth, least, tuple(self._left))
        if self._budget.left <= 0:
            return _GAVE_UP
        self._budget.left -= len(self._items) - depth + len(self._left)
        if state in self._dead or not _possible(self._items[depth:], state[2]):
            self._dead.add(state)
            return None
        item = self._items[depth]
        same_next = depth + 1 < len(self._items) and self._items[depth + 1] == item
        tried: set[tuple[frozenset[int], tuple[int, ...]]] = set()
        for at in sorted(item.allowed):
            have = self._left[at]
            alike = (self._class[at], have)
            if at < least or alike in tried or not _fits(item, have):
                continue
            tried.add(alike)
            self._left[at] = tuple(left - need for left, need in zip(have, item.needs, strict=True))
            rest = self._place(depth + 1, at if same_next else 0)
            self._left[at] = have
            if rest is not None:
                return rest if isinstance(rest, _GaveUp) else [at, *rest]
        self._dead.add(state)
        return None
