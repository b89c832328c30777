"""Changes that would help, held against the nodes: of a model's memory, and of the product of GPU it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wtsctl.plan.gpus import Gpu, gpu
from wtsctl.plan.groups import Group
from wtsctl.plan.memory import MemoryFit, assess
from wtsctl.plan.nodes import Node
from wtsctl.plan.placement import Placement, finds_places
from wtsctl.plan.remedies import Remedy
from wtsctl.plan.requests import Need, refusal
from wtsctl.plan.serving import Served
from wtsctl.plan.verdict import Verdict
from wtsctl.plan.wording import few

# Changes for which the pods that have a place are moved; for further ones only what is left is looked at.
_MOVED = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model asks for, as far as another product of GPU would change it.

    Attributes:
        served: from `serving.served`.
        resource: the GPUs' resource.
        key: where models.yaml names their product: `gpu.product` of the model, or of the defaults.
        pipelines: whether the runtime can spread a model over several nodes.
        groups: its replicas.
    """

    served: Served
    resource: str
    key: str
    pipelines: bool
    groups: tuple[Group, ...]

    @property
    def label(self) -> str:
        """The label of nodes that holds the product of their GPUs."""
        return f"{self.resource}.product"

    def anywhere(self) -> tuple[Group, ...]:
        """Its replicas, on GPUs of any product."""
        return tuple(replace(group, pods=tuple(map(self._without, group.pods))) for group in self.groups)

    def _without(self, pod: Need) -> Need:
        return replace(pod, selector={key: value for key, value in pod.selector.items() if key != self.label})


class Offers:
    """The nodes beside what has a place on them."""

    def __init__(self, nodes: Sequence[Node], placements: Sequence[Placement]) -> None:
        self._nodes = nodes
        self._kept: list[Group] = []
        planned: dict[str, dict[str, int]] = {}
        for placement in placements:
            for group, names in zip(placement.groups, placement.nodes, strict=True):
                self._kept += [group] if names else []
                for name, pod in zip(names, group.pods, strict=False):
                    taken = planned.setdefault(name, {})
                    for resource, value in pod.requests.items():
                        taken[resource] = taken.get(resource, 0) + value
        self._left = [_less(node, planned.get(node.name, {})) for node in nodes]
        self._moved = 0

    def of_memory(self, asked: Asked, memory: MemoryFit) -> Iterator[Remedy]:
        """The changes with which a model would fit its GPUs: first those whose pods then have a place."""
        later: list[Remedy] = []
        for remedy in memory.remedies:
            card = gpu(str(remedy.value)) if remedy.key == "gpu.product" else memory.gpu
            groups = asked.anywhere() if remedy.key == "gpu.product" else asked.groups
            changed = _changed(groups, remedy, asked.resource)
            if self._room(changed, card, asked.resource):
                yield remedy
            else:
                note = f"in memory only: the nodes have no room for {_pods(changed, asked.resource)}"
                if remedy.key == "gpu.product":
                    note = "in memory only: no node has such GPUs and room"
                later.append(replace(remedy, text=f"{remedy.text} ({note})"))
        yield from later

    def _room(self, wanted: Sequence[Group], card: Gpu | None, resource: str) -> bool:
        """Whether there is room for these pods on GPUs that have as much memory as `card`."""
        least = card.usable or 0 if card else 0
        own = {group.owner for group in wanted}

        def unsuitable(group: Group, node: Node) -> str:
            found = node.gpu(resource)
            small = found is not None and (found.usable or 0) < least
            return "too little memory" if group.owner in own and small else ""

        if all(finds_places(wanted, self._left, unsuitable)):
            return True
        self._moved += 1
        kept = [group for group in self._kept if group.owner not in own]
        return self._moved <= _MOVED and all(finds_places([*kept, *wanted], self._nodes, unsuitable))


def other_products(
    asked: Mapping[str, Asked], nodes: Sequence[Node], kept: Sequence[Group]
) -> dict[str, tuple[bool, Remedy]]:
    """For models that ask for a product which no node has: the one that the nodes have, and what would fit then.

    All of them are taken to ask for the other product at once, as one line of `defaults` decides for most. Of
    several products it is the one on which most of them fit.

    Args:
        asked: what each model asks for, by its name.
        nodes: all nodes.
        kept: what has a place and keeps it.

    Returns:
        By the name of the model, whether it would fit, and what to change.
    """
    foreign = {name: one for name, one in asked.items() if _foreign(one, nodes)}
    best: dict[str, tuple[bool, Remedy]] = {}
    kinds = dict.fromkeys(
        found for one in foreign.values() for node in _open(one, nodes) if (found := node.gpu(one.resource))
    )
    for kind in sorted(kinds, key=lambda one: (not one.product, one.usable or 0, one.product)):
        tried = _on(kind, foreign, nodes, kept)
        if not best or sum(fits for fits, _ in tried.values()) > sum(fits for fits, _ in best.values()):
            best = tried
    return best


def _foreign(asked: Asked, nodes: Sequence[Node]) -> bool:
    wanted = {pod.selector[asked.label] for group in asked.groups for pod in group.pods if asked.label in pod.selector}
    return bool(wanted) and not any(node.labels.get(asked.label) in wanted for node in nodes)


def _open(asked: Asked, nodes: Sequence[Node]) -> list[Node]:
    """The nodes with GPUs that only their product keeps the model from."""
    pods = [pod for group in asked.anywhere() for pod in group.pods]
    return [
        node
        for node in nodes
        if node.gpu(asked.resource) and not node.problem and not any(refusal(p, node.labels, node.taints) for p in pods)
    ]


def _on(
    kind: Gpu, foreign: Mapping[str, Asked], nodes: Sequence[Node], kept: Sequence[Group]
) -> dict[str, tuple[bool, Remedy]]:
    """What becomes of each model on this kind of GPU, with what to change."""
    stands: dict[str, tuple[MemoryFit, list[Remedy | None], list[str]]] = {}
    for name, one in foreign.items():
        allowed = [node for node in _open(one, nodes) if node.gpu(one.resource) == kind]
        if not allowed:
            continue
        largest = max(node.allocatable[one.resource] for node in allowed)
        memory = assess(one.served, kind, pipelines=one.pipelines, node_gpus=largest)
        tried: list[Remedy | None] = [None]
        if memory.verdict is Verdict.DOES_NOT_FIT:
            tried = [remedy for remedy in memory.remedies if remedy.key != "gpu.product"]
        stands[name] = memory, tried, [node.name for node in allowed]
    fitting = _fitting({name: (foreign[name], *stand[1:]) for name, stand in stands.items()}, nodes, kept)
    found: dict[str, tuple[bool, Remedy]] = {}
    for name, (memory, tried, allowed_names) in stands.items():
        text = _switch(foreign[name], kind, allowed_names)
        if name not in fitting:
            first = next(iter(tried), None)
            if first:
                text += f"; then {first.text}, for which the nodes have no room beside the others"
            else:
                text += (
                    f"; it would still not fit: {memory.reason}" if memory.reason else "; then no room is left for it"
                )
        elif remedy := fitting[name]:
            text += f"; then {remedy.text}"
        if name in fitting and kind.usable is None:
            text += "; whether it fits their memory cannot be told"
        found[name] = (name in fitting, Remedy(foreign[name].key, kind.product, text))
    return found


def _fitting(
    wanted: Mapping[str, tuple[Asked, list[Remedy | None], list[str]]], nodes: Sequence[Node], kept: Sequence[Group]
) -> dict[str, Remedy | None]:
    """The models that find a place on the nodes allowed to each, with the first change that makes them (None: none)."""
    allowed = {one.groups[0].owner: frozenset(names) for one, _, names in wanted.values()}

    def unsuitable(group: Group, node: Node) -> str:
        return "another GPU" if node.name not in allowed.get(group.owner, (node.name,)) else ""

    placed = list(kept)
    found: dict[str, Remedy | None] = {}
    for at in range(max((len(tried) for _, tried, _ in wanted.values()), default=0)):
        tries = {
            name: _changed(one.anywhere(), tried[at], one.resource)
            for name, (one, tried, _) in wanted.items()
            if name not in found and at < len(tried)
        }
        results = finds_places([*placed, *(group for made in tries.values() for group in made)], nodes, unsuitable)
        position = len(placed)
        for name, made in tries.items():
            if all(results[position : position + len(made)]):
                found[name] = wanted[name][1][at]
                placed += made
            position += len(made)
    return found


def _switch(asked: Asked, kind: Gpu, names: Sequence[str]) -> str:
    key = asked.key if asked.key.startswith("defaults") else f"the model's {asked.key}"
    if kind.product:
        return f"the nodes have {kind.product}: set {key} to it"
    have = "has GPUs" if len(names) == 1 else "have GPUs"
    return f"{few(names)} {have} and no label {asked.label} (no GPU feature discovery there): leave {key} out"


def _changed(groups: Sequence[Group], remedy: Remedy | None, resource: str) -> tuple[Group, ...]:
    """A model's replicas after a change of models.yaml."""
    if remedy is None:
        return tuple(groups)
    if remedy.key == "parallel.tensor":
        change = {resource: int(remedy.value)}
        return tuple(
            replace(group, pods=tuple(replace(pod, requests={**pod.requests, **change}) for pod in group.pods))
            for group in groups
        )
    if remedy.key == "parallel.pipeline":
        return tuple(replace(group, pods=group.pods[:1] * int(remedy.value)) for group in groups)
    return tuple(groups)


def _pods(groups: Sequence[Group], resource: str) -> str:
    """How many pods of how many GPUs."""
    pods = [pod for group in groups for pod in group.pods]
    gpus = max((pod.requests.get(resource, 0) for pod in pods), default=0)
    return f"{len(pods)} pod{'s' * (len(pods) != 1)} of {gpus} GPU{'s' * (gpus != 1)}"


def _less(node: Node, planned: Mapping[str, int]) -> Node:
    names = {*node.used, *planned}
    return replace(node, used={name: node.used.get(name, 0) + planned.get(name, 0) for name in names})
