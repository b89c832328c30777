"""Groups of pods on nodes: where each goes, why one goes nowhere, and what would make room for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wtsctl.plan.groups import Group
from wtsctl.plan.nodes import Node
from wtsctl.plan.packing import Item, Outcome, pack, together
from wtsctl.plan.remedies import Remedy
from wtsctl.plan.requests import Need, refusal
from wtsctl.plan.verdict import Verdict
from wtsctl.plan.wording import amount_text, describe, few, listed, resource_text
from wtsctl.pods.requests import CPU, MEMORY, PODS, Amounts

# More nodes than these are not tried as a remedy, nor more than so many above what sums demand.
_MOST_NODES = 64
_FURTHER = 4
# Nodes that are tried one by one; and kinds of pods without a place for which room is looked for.
_TRIED = 20
_MIB = 1024**2

Unsuitable = Callable[[Group, Node], str]
"""Why the pods of a group would not start on a node that they may run on; empty: they would."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What becomes of the pods that one object makes.

    Attributes:
        owner: the object, as `NAMESPACE/KIND/NAME`.
        model: the model it serves; None: none.
        groups: its replicas, of which each is one or several pods.
        nodes: of each replica, the nodes of its pods; empty where it goes nowhere.
        verdict: whether all replicas go somewhere.
        reason: why not.
        remedies: changes with which they would, each alone, the smallest first.
    """

    owner: str
    model: str | None
    groups: tuple[Group, ...]
    nodes: tuple[tuple[str, ...], ...]
    verdict: Verdict
    reason: str = ""
    remedies: tuple[Remedy, ...] = ()

    @property
    def placed(self) -> int:
        """How many replicas go somewhere."""
        return sum(bool(names) for names in self.nodes)


def place(groups: Sequence[Group], nodes: Sequence[Node], unsuitable: Unsuitable) -> tuple[Placement, ...]:
    """Where the pods of every object go beside what runs already; earlier objects come first.

    Args:
        groups: from `groups.groups`.
        nodes: from `nodes.inventory`.
        unsuitable: what else keeps pods from starting on a node, such as GPUs with too little memory.
    """
    board = _Board(groups, nodes, unsuitable)
    placed, left = board.settle(nodes)
    made: list[Placement] = []
    for owner in dict.fromkeys(group.owner for group in groups):
        own = [at for at, group in enumerate(groups) if group.owner == owner]
        names = tuple(placed[at][1] for at in own)
        missing = [at for at in own if placed[at][0] is not Outcome.PLACED]
        first = Placement(owner, groups[own[0]].model, tuple(groups[at] for at in own), names, Verdict.FITS)
        if not missing:
            made.append(first)
            continue
        gave_up = all(placed[at][0] is Outcome.GAVE_UP for at in missing)
        verdict = Verdict.UNKNOWN if gave_up else Verdict.DOES_NOT_FIT
        reason = "the search for a way to place all pods was given up" if gave_up else ""
        group = groups[missing[0]]
        reason = reason or _reason(group, [(node, board.why(group, node, left[node.name])) for node in nodes])
        kept = [at for at in range(len(groups)) if placed[at][0] is Outcome.PLACED]
        remedies = () if gave_up else board.remedies(group, missing, kept, left)
        made.append(replace(first, verdict=verdict, reason=reason, remedies=remedies))
    return tuple(made)


def more_nodes(groups: Sequence[Group], nodes: Sequence[Node], unsuitable: Unsuitable) -> Remedy | None:
    """The fewest nodes, all like one that is there, with which everything would fit; None: none would do."""
    return _Board(groups, nodes, unsuitable).add_nodes(range(len(groups)))


def finds_places(groups: Sequence[Group], nodes: Sequence[Node], unsuitable: Unsuitable) -> tuple[bool, ...]:
    """Which of these groups find a place, earlier ones first; False proves nothing where they are many."""
    found, _ = _Board(groups, nodes, unsuitable).settle(nodes)
    return tuple(found[at][0] is Outcome.PLACED for at in range(len(groups)))


class _Board:
    """The groups and what they need, in the form that `packing` reads."""

    def __init__(self, groups: Sequence[Group], nodes: Sequence[Node], unsuitable: Unsuitable) -> None:
        self._groups = groups
        self._nodes = nodes
        self._unsuitable = unsuitable
        named = {name for group in groups for pod in group.pods for name in pod.requests}
        # Devices first: packing leaves the rooms with the most of the first resource for those who need it.
        self._resources = sorted(named, key=lambda name: ("/" not in name, name == PODS, name != MEMORY, name))
        self._static: dict[tuple[int, int, str], str] = {}
        self._offered: dict[tuple[int, int, tuple[Item, ...]], tuple[Remedy, ...]] = {}

    def settle(
        self, nodes: Sequence[Node], chosen: Iterable[int] | None = None
    ) -> tuple[dict[int, tuple[Outcome, tuple[str, ...]]], dict[str, dict[str, int]]]:
        """What becomes of each group, by its index, and what is then left on each node."""
        indices = list(range(len(self._groups)) if chosen is None else chosen)
        items = [self._items(index, nodes) for index in indices]
        room = self._room(nodes)
        left = {node.name: {name: node.free(name) for name in self._resources} for node in nodes}
        found: dict[int, tuple[Outcome, tuple[str, ...]]] = {}
        for index, result in zip(indices, pack(items, room), strict=True):
            names = tuple(nodes[at].name for at in result.bins)
            found[index] = (result.outcome, names)
            for name, pod in zip(names, self._groups[index].pods, strict=False):
                for resource, value in pod.requests.items():
                    left[name][resource] -= value
        return found, left

    def _room(self, nodes: Sequence[Node]) -> list[list[int]]:
        return [[node.free(name) for name in self._resources] for node in nodes]

    def _items(self, index: int, nodes: Sequence[Node]) -> tuple[Item, ...]:
        return tuple(self._item(index, at, nodes) for at in range(len(self._groups[index].pods)))

    def _together(self, indices: Iterable[int], nodes: Sequence[Node]) -> bool:
        return together([self._items(index, nodes) for index in indices], self._room(nodes))

    def _item(self, index: int, at: int, nodes: Sequence[Node]) -> Item:
        group = self._groups[index]
        pod = group.pods[at]
        allowed = frozenset(one for one, node in enumerate(nodes) if not self.static(group, pod, node))
        return Item(tuple(pod.requests.get(name, 0) for name in self._resources), allowed)

    def static(self, group: Group, pod: Need, node: Node) -> str:
        """Why a pod cannot run on a node, whatever is free there."""
        key = (id(group.pods), id(pod), node.name)
        if key not in self._static:
            self._static[key] = node.problem or refusal(pod, node.labels, node.taints) or self._unsuitable(group, node)
        return self._static[key]

    def why(self, group: Group, node: Node, left: Amounts) -> str:
        """Why a group found no place on a node."""
        for pod in group.pods:
            static = self.static(group, pod, node)
            if static:
                return static
        for pod in group.pods:
            short = [name for name, need in pod.requests.items() if need > left[name]]
            if short:
                return "has " + " and ".join(_short(name, pod.requests[name], node, left[name]) for name in short)
        return f"no room for all {len(group.pods)} pods of a replica"

    def remedies(
        self, group: Group, missing: Sequence[int], kept: Sequence[int], left: Mapping[str, Mapping[str, int]]
    ) -> tuple[Remedy, ...]:
        """Changes with which a group would find a place beside those that have one; equal groups get equal ones."""
        own = sum(self._groups[at].owner == group.owner for at in kept)
        key = (own, len(missing), self._items(missing[0], self._nodes))
        if key not in self._offered:
            self._offered[key] = tuple(self._remedies(group, missing, kept, left))
        return self._offered[key]

    def _remedies(
        self, group: Group, missing: Sequence[int], kept: Sequence[int], left: Mapping[str, Mapping[str, int]]
    ) -> Iterator[Remedy]:
        if len(group.pods) == 1:
            yield from self._lower(group, left)
            yield from self._tolerate(group, left)
        if len(self._offered) >= _TRIED:
            return
        yield from self._free([*kept, *missing])
        own = sum(self._groups[at].owner == group.owner for at in kept)
        if own:
            yield Remedy("replicas", own, f"set replicas to {own}")
        more = self.add_nodes([*kept, *missing])
        yield more or _new_node(group)

    def _lower(self, group: Group, left: Mapping[str, Mapping[str, int]]) -> Iterator[Remedy]:
        """A smaller request, where CPU or memory alone is short on some node."""
        pod = group.pods[0]
        best: dict[str, int] = {}
        for node in self._nodes:
            if self.static(group, pod, node):
                continue
            short = [name for name, need in pod.requests.items() if need > left[node.name][name]]
            if len(short) == 1 and short[0] in {CPU, MEMORY}:
                best[short[0]] = max(best.get(short[0], 0), left[node.name][short[0]])
        for name, free in sorted(best.items()):
            if free > 0:
                text = f"{free}m" if name == CPU else f"{free // _MIB}Mi"
                yield Remedy(f"resources.requests.{name}", text, f"set resources.requests.{name} to {text} or less")

    def _tolerate(self, group: Group, left: Mapping[str, Mapping[str, int]]) -> Iterator[Remedy]:
        """A toleration, where a taint is all that keeps the pod from a node."""
        pod = group.pods[0]
        for node in self._nodes:
            if node.problem or refusal(pod, node.labels, ()) or self._unsuitable(group, node):
                continue
            keys = [str(taint.get("key")) for taint in node.taints if refusal(pod, node.labels, [taint])]
            if keys and all(need <= left[node.name][name] for name, need in pod.requests.items()):
                yield Remedy("tolerations", ", ".join(keys), f"tolerate {' and '.join(keys)}, the taint of {node.name}")
                return

    def _free(self, wanted: Sequence[int]) -> Iterator[Remedy]:
        """What other pods hold: on one node where that is enough, else on all."""
        held = [node for node in self._nodes if node.used]

        def enough(emptied: Sequence[Node]) -> bool:
            nodes = [replace(node, used={}) if node in emptied else node for node in self._nodes]
            return self._together(wanted, nodes)

        if not held or not enough(held):
            return
        name = next((node.name for node in held[:_TRIED] if enough([node])), "")
        text = f"free what other pods request on {name or 'the nodes'}"
        yield Remedy("otherPods", name or "all", text)

    def add_nodes(self, wanted: Iterable[int]) -> Remedy | None:
        """The fewest nodes like one that is there with which all of these groups have a place."""
        indices = list(wanted)
        models: dict[tuple[object, ...], Node] = {}
        for node in self._nodes:
            kind = (tuple(sorted(node.allocatable.items())), tuple(sorted(node.extended)), _products(node))
            models.setdefault(kind, node)
        tries = sorted(
            (count, at, like)
            for at, like in enumerate(models.values())
            for least in [self._least(like, indices)]
            for count in range(least, min(least + _FURTHER, _MOST_NODES + 1))
        )
        for count, _, like in tries:
            added = [like.empty(f"{like.name}+{at + 1}") for at in range(count)]
            if self._together(indices, [*self._nodes, *added]):
                text = f"add {count} node{'s' * (count > 1)} like {like.name} ({describe(like)})"
                return Remedy("nodes", count, text)
        return None

    def _least(self, like: Node, indices: Sequence[int]) -> int:
        """How many nodes like this have to be added at least, by the sum of each resource."""
        least = 1
        for name in self._resources:
            wanted = sum(pod.requests.get(name, 0) for at in indices for pod in self._groups[at].pods)
            short = wanted - sum(max(0, node.free(name)) for node in self._nodes)
            has = like.allocatable.get(name, 0)
            if short > 0:
                least = max(least, -(-short // has) if has else _MOST_NODES + 1)
        return least


def _products(node: Node) -> tuple[str, ...]:
    return tuple(sorted(value for key, value in node.labels.items() if key.endswith(".product")))


def _new_node(group: Group) -> Remedy:
    pod = group.pods[0]
    product = next((value for key, value in pod.selector.items() if key.endswith(".product")), "")
    parts = [
        f"{amount_text(name, value)} x {product}"
        if product and "/" in name
        else f"{amount_text(name, value)} {resource_text(name)}"
        for name, value in sorted(pod.requests.items(), key=lambda one: "/" not in one[0])
        if name != PODS and value
    ]
    count = len(group.pods)
    each = f"{count} nodes, each" if count > 1 else "a node"
    return Remedy("newNodes", count, f"add {each} with {listed(parts)} free that its pods may run on")


def _reason(group: Group, found: Sequence[tuple[Node, str]]) -> str:
    if not found:
        return "there are no nodes"
    by_reason: dict[str, list[str]] = {}
    for node, why in found:
        by_reason.setdefault(why, []).append(node.name)
    what = "no node has room" if len(group.pods) == 1 else f"no {len(group.pods)} nodes have room"
    return f"{what}: " + "; ".join(f"{few(names)}: {why}" for why, names in by_reason.items())


def _short(resource: str, need: int, node: Node, left: int) -> str:
    """What is short on a node, and whether it was ever there."""
    has, free = node.allocatable.get(resource, 0), node.free(resource)
    amount = max(0, has if has < need else free if free < need else left)
    text = f"{amount_text(resource, amount)} of the {amount_text(resource, need)} {resource_text(resource)}"
    return text if has < need else f"{text} free" if free < need else f"{text} left beside the other models"
