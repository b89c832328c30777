"""Pods on nodes: never more than there is, and 'impossible' only where it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from wtsctl.plan.packing import Item, Outcome, Packed, pack

Group = tuple[Item, ...]


def gpus(count: int, *, bins: int, cpu: int = 0) -> Group:
    """One pod with GPUs that may go into any of the first bins."""
    return (Item((count, cpu), frozenset(range(bins))),)


def outcomes(packed: Sequence[Packed]) -> list[Outcome]:
    """What became of each group."""
    return [one.outcome for one in packed]


def check(groups: Sequence[Group], room: Sequence[Sequence[int]], packed: Sequence[Packed]) -> None:
    """Every group is there wholly or not at all, in bins that it may go into, and no bin holds too much."""
    left = [list(have) for have in room]
    for group, result in zip(groups, packed, strict=True):
        assert len(result.bins) == (len(group) if result.outcome is Outcome.PLACED else 0)
        for item, at in zip(group, result.bins, strict=False):
            assert at in item.allowed
            for resource, need in enumerate(item.needs):
                left[at][resource] -= need
                assert not need or left[at][resource] >= 0


def possible(items: Sequence[Item], room: Sequence[Sequence[int]]) -> bool:
    """Whether there is any way, by trying every one."""
    for bins in itertools.product(*(sorted(item.allowed) for item in items)):
        left = [list(have) for have in room]
        for item, at in zip(items, bins, strict=True):
            left[at] = [have - need for have, need in zip(left[at], item.needs, strict=True)]
        if all(have >= 0 for have in itertools.chain(*left)):
            return True
    return False


def test_a_group_stays_together() -> None:
    """Four GPUs of one pod come from one node: two nodes with two free ones are no room for it."""
    assert outcomes(pack([gpus(4, bins=2)], [(2, 0), (2, 0)])) == [Outcome.IMPOSSIBLE]
    assert pack([gpus(4, bins=2)], [(2, 0), (4, 0)])[0].bins == (1,)


def test_the_quick_try_is_not_the_last() -> None:
    """Best fit puts 4 into the bin of 5 and 3 into that of 6, and then 2 and 2 have nowhere to go; a way exists."""
    groups = [gpus(size, bins=2) for size in (4, 3, 2, 2)]
    room = [(5, 0), (6, 0)]
    packed = pack(groups, room)
    assert outcomes(packed) == [Outcome.PLACED] * 4
    check(groups, room, packed)


def test_earlier_groups_come_first() -> None:
    """Where not all fit, the first ones do, and a later one that fits beside them still does."""
    groups = [gpus(4, bins=2), gpus(4, bins=2), gpus(4, bins=2), gpus(1, bins=2)]
    assert outcomes(pack(groups, [(4, 0), (5, 0)])) == [
        Outcome.PLACED,
        Outcome.PLACED,
        Outcome.IMPOSSIBLE,
        Outcome.PLACED,
    ]


def test_what_was_placed_may_move() -> None:
    """A pod that fits anywhere makes room for a later one that fits into one bin alone."""
    anywhere, only_first = gpus(1, bins=2), gpus(2, bins=1)
    too_much = gpus(9, bins=2)
    packed = pack([anywhere, too_much, only_first], [(2, 0), (2, 0)])
    assert outcomes(packed) == [Outcome.PLACED, Outcome.IMPOSSIBLE, Outcome.PLACED]
    assert packed[0].bins == (1,)


def test_all_pods_of_a_group_or_none() -> None:
    """Two stages of a pipeline need two nodes; where one is missing, the other takes nothing."""
    stages = (*gpus(4, bins=3), *gpus(4, bins=3))
    packed = pack([stages, gpus(4, bins=3)], [(4, 0), (2, 0), (2, 0)])
    assert outcomes(packed) == [Outcome.IMPOSSIBLE, Outcome.PLACED]


def test_overdrawn_rooms() -> None:
    """What others took too much of keeps only those away who need it."""
    assert pack([(Item((0, 1), frozenset({0})),)], [(-3, 5)])[0].outcome is Outcome.PLACED
    assert pack([gpus(1, bins=1)], [(-3, 5)])[0].outcome is Outcome.IMPOSSIBLE


def test_pods_without_gpus_leave_nodes_with_gpus_alone() -> None:
    """A pod that needs CPU only goes where no GPU is left waiting for it."""
    plain = (Item((0, 1), frozenset({0, 1})),)
    assert pack([plain], [(8, 100), (0, 2)])[0].bins == (1,)


items = st.builds(
    Item, st.tuples(st.integers(0, 4), st.integers(0, 4)), st.frozensets(st.integers(0, 2), min_size=1, max_size=3)
)
rooms = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=3)
few_groups = st.lists(st.lists(items, min_size=1, max_size=2).map(tuple), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(few_groups, rooms)
def test_exact_on_small_cases(groups: list[Group], room: list[tuple[int, int]]) -> None:
    """All is placed exactly when trying everything finds a way; what is refused does not fit beside what is kept."""
    packed = pack(groups, room)
    check(groups, room, packed)
    assert Outcome.GAVE_UP not in outcomes(packed)
    everything = [item for group in groups for item in group]
    assert all(one.outcome is Outcome.PLACED for one in packed) == possible(everything, room)
    kept: list[Item] = []
    for group, result in zip(groups, packed, strict=True):
        assert (result.outcome is Outcome.PLACED) == possible([*kept, *group], room)
        kept += group if result.outcome is Outcome.PLACED else ()
    assert pack(groups, room) == packed


@settings(max_examples=60, deadline=None)
@given(few_groups, rooms, st.integers(0, 200))
def test_giving_up_is_not_a_verdict(groups: list[Group], room: list[tuple[int, int]], work: int) -> None:
    """With little time the answer may be that nobody knows, and is never a wrong one."""
    packed = pack(groups, room, work)
    check(groups, room, packed)
    kept: list[Item] = []
    for group, result in zip(groups, packed, strict=True):
        if result.outcome is Outcome.IMPOSSIBLE:
            assert not possible([*kept, *group], room)
        kept += group if result.outcome is Outcome.PLACED else ()


def test_many_pods_take_seconds_at_most() -> None:
    """500 pods on 100 nodes are placed, and 100 more than there are GPUs for are proven not to fit."""
    room = [(8, 64)] * 100
    began = time.monotonic()
    groups = [gpus(1 + at % 2, bins=100, cpu=4) for at in range(500)]
    assert set(outcomes(pack(groups, room))) == {Outcome.PLACED}
    found = outcomes(pack([gpus(8, bins=100) for _ in range(200)], room))
    assert (found.count(Outcome.PLACED), found.count(Outcome.IMPOSSIBLE)) == (100, 100)
    # A puzzle with no way and no proof by counting: it ends, with an answer or without.
    hard = [gpus(3, bins=40, cpu=1 + at % 7) for at in range(70)]
    assert len(pack(hard, [(8, 9)] * 40)) == 70
    assert time.monotonic() - began < 60
