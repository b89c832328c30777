"""The whole of `wtsctl plan`: each model on its GPUs, all pods on the nodes, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from wtsctl.catalog.document import Defaults
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.workload import Workload
from wtsctl.plan.gpus import Gpu, gpu
from wtsctl.plan.groups import Group
from wtsctl.plan.memory import MemoryFit, assess
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.plan.nodes import Inventory, Node
from wtsctl.plan.offers import Asked, Offers, other_products
from wtsctl.plan.placement import Placement, Unsuitable, more_nodes, place
from wtsctl.plan.remedies import Remedy, narrower
from wtsctl.plan.requests import refusal
from wtsctl.plan.serving import served
from wtsctl.plan.verdict import Verdict, worst


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """One model.

    Attributes:
        workload: the model.
        memory: how it stands on its GPUs; None: it runs without any, and its requests are all there is to say.
        placement: where its pods go; None: no nodes were looked at, or it has no pods. One whose memory does not fit
            goes nowhere: it would not start, and takes no GPUs from others.
        product: the product of GPU with which it would fit, where no node has the one that it asks for; None: none.
        hint: what else to do, or what would let wtsctl tell.
    """

    workload: Workload
    memory: MemoryFit | None
    placement: Placement | None
    product: Remedy | None = None
    hint: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict on memory and nodes together."""
        return worst(part.verdict for part in (self.memory, self.placement) if part is not None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not fit, or why nobody can tell; each begins with what it is about."""
        parts = (("memory", self.memory), ("nodes", self.placement))
        return tuple(f"{about}: {part.reason}" for about, part in parts if part is not None and part.reason)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Changes that would help: first another product, then those of its memory, without which no node helps."""
        memory = self.memory.remedies if self.memory else ()
        rest = memory or (self.placement.remedies if self.placement else ())
        return (self.product, *rest) if self.product else rest


@dataclass(frozen=True, slots=True)
class Total:
    """One resource over all nodes; `cpu` in thousandths.

    Attributes:
        wanted: what everything that is planned requests, less models whose memory does not fit.
        allocatable: what the nodes have.
        used: what other pods request of it.
    """

    resource: str
    wanted: int
    allocatable: int
    used: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What fits where.

    Attributes:
        models: in file order.
        others: where the pods go that serve no model, such as Llama Stack.
        inventory: the nodes; None: none were looked at.
        totals: by resource, devices first; empty without nodes.
        remedy: the fewest further nodes with which every pod has a place; None: not needed, or no help.
        left_out: the owners of pods that would have none all the same.
    """

    models: tuple[ModelPlan, ...]
    others: tuple[Placement, ...] = ()
    inventory: Inventory | None = None
    totals: tuple[Total, ...] = ()
    remedy: Remedy | None = None
    left_out: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on all of it."""
        return worst([*(one.verdict for one in self.models), *(one.verdict for one in self.others)])


def plan(
    workloads: Sequence[Workload],
    defaults: Defaults,
    checkpoints: Mapping[str, Checkpoint],
    groups: Sequence[Group],
    inventory: Inventory | None,
) -> Plan:
    """What fits where.

    Args:
        workloads: the models.
        defaults: of the catalog.
        checkpoints: what the `config` of a model says, by its name.
        groups: the pods of what is rendered, those without a model included.
        inventory: the nodes; None: only the models' memory is looked at.
    """
    nodes = inventory.nodes if inventory else ()
    stands = {one.name: _Stand(one, defaults, checkpoints.get(one.name), groups, nodes) for one in workloads}
    memory = {name: stand.memory for name, stand in stands.items()}
    if inventory is None:
        return Plan(
            tuple(
                ModelPlan(one, fit, None, hint=fit.hint if fit else "")
                for one, fit in zip(workloads, memory.values(), strict=True)
            )
        )

    def unsuitable(group: Group, node: Node) -> str:
        return stands[group.model].unsuitable(node) if group.model in stands else ""

    starting = [group for group in groups if group.model not in stands or stands[group.model].starts]
    placements = place(starting, nodes, unsuitable)
    by_model = {one.model: one for one in placements if one.model is not None}
    missed = [one for one in placements if one.verdict is Verdict.DOES_NOT_FIT]
    # No node like those that are there would do for these, whatever the others get.
    hopeless = tuple(one.owner for one in missed if not any(remedy.key == "nodes" for remedy in one.remedies))
    helped = [group for group in starting if group.owner not in hopeless]
    offers = Offers(nodes, placements)
    kept = [group for one in placements for group, names in zip(one.groups, one.nodes, strict=True) if names]
    missing = {
        name: stand.asked
        for name, stand in stands.items()
        if stand.asked and not (name in by_model and by_model[name].verdict is Verdict.FITS)
    }
    products = other_products(missing, nodes, kept)
    models: list[ModelPlan] = []
    for one in workloads:
        stand, placement = stands[one.name], by_model.get(one.name)
        if placement is not None and placement.verdict is Verdict.DOES_NOT_FIT:
            others = [group for group in starting if group.model != one.name]
            found = tuple(stand.narrower(placement, others, nodes, unsuitable))
            placement = replace(placement, remedies=(*found, *placement.remedies))
        known = stand.with_notes(placement)
        if not stand.starts and known is not None and stand.asked is not None:
            own = stand.asked.groups
            known = replace(known, remedies=tuple(offers.of_memory(stand.asked, known)))
            if own:
                placement = Placement(own[0].owner, one.name, own, ((),) * len(own), Verdict.DOES_NOT_FIT)
        fits, product = products.get(one.name, (False, None))
        hint = product.text if product and not fits else known.hint if known else ""
        models.append(ModelPlan(one, known, placement, product if fits else None, hint))
    return Plan(
        models=tuple(models),
        others=tuple(one for one in placements if one.model is None),
        inventory=inventory,
        totals=_totals(starting, nodes),
        remedy=more_nodes(helped, nodes, unsuitable) if len(missed) > len(hopeless) else None,
        left_out=hopeless,
    )


class _Stand:
    """One model on each kind of GPU that its pods may land on."""

    def __init__(
        self,
        workload: Workload,
        defaults: Defaults,
        checkpoint: Checkpoint | None,
        groups: Sequence[Group],
        nodes: Sequence[Node],
    ) -> None:
        asked = workload.spec.gpu or defaults.gpu
        self._resource = asked.resource
        self._declared = asked.product or ""
        self._pipelines = workload.spec.runtime is Runtime.VLLM
        self._runs_on_gpus = workload.gpus > 0 and workload.spec.runtime is not Runtime.LLAMACPP
        self.memory: MemoryFit | None = None
        self.asked: Asked | None = None
        self._by_gpu: dict[Gpu, MemoryFit] = {}
        self._nodes: list[tuple[Node, Gpu]] = []
        if not self._runs_on_gpus:
            return
        own = next((group for group in groups if group.model == workload.name and group.pods), None)
        self._nodes = [
            (node, found)
            for node in nodes
            if (found := node.gpu(self._resource)) is not None
            and (own is None or not refusal(own.pods[0], node.labels, ()))
        ]
        serving = served(workload, checkpoint)
        key = "gpu.product" if workload.spec.gpu else "defaults.gpu.product"
        all_own = tuple(group for group in groups if group.model == workload.name and group.pods)
        self.asked = Asked(serving, self._resource, key, self._pipelines, all_own)
        largest = max((node.allocatable[self._resource] for node, _ in self._nodes), default=None)
        kinds = list(dict.fromkeys(found for _, found in self._nodes))
        if not kinds:
            kinds = [gpu(self._declared)] if self._declared else []
        for kind in kinds:
            self._by_gpu[kind] = assess(serving, kind, pipelines=self._pipelines, node_gpus=largest)
        self.memory = self._chosen() or assess(serving, None, pipelines=self._pipelines)

    @property
    def starts(self) -> bool:
        """Whether its server would start on some GPU, or nobody knows."""
        return self.memory is None or self.memory.verdict is not Verdict.DOES_NOT_FIT

    def _chosen(self) -> MemoryFit | None:
        """The best verdict; where several GPUs give it, the smallest on which it fits, or the largest it does not."""
        found = sorted(self._by_gpu.values(), key=lambda one: one.gpu.usable or 0 if one.gpu else 0)
        for verdict in (Verdict.FITS, Verdict.UNKNOWN):
            fitting = [one for one in found if one.verdict is verdict]
            if fitting:
                return fitting[0]
        return found[-1] if found else None

    def unsuitable(self, node: Node) -> str:
        """Why the model would not start on a node's GPUs, although it does on those of others."""
        if self.memory is None or self.memory.verdict is not Verdict.FITS:
            # Nobody knows where it starts: the nodes' GPUs are taken all the same.
            return ""
        found = node.gpu(self._resource)
        stood = self._by_gpu.get(found) if found else None
        too_small = stood is not None and stood.verdict is Verdict.DOES_NOT_FIT
        return f"too little memory on each {found.name}" if found and too_small else ""

    def narrower(
        self, placement: Placement, others: Sequence[Group], nodes: Sequence[Node], unsuitable: Unsuitable
    ) -> Iterator[Remedy]:
        """Ways to serve the model with fewer GPUs of one node, where none has as many as it asks for."""
        memory = self.memory
        serving = memory.serving if memory and memory.verdict is Verdict.FITS else None
        largest = max((node.allocatable[self._resource] for node, _ in self._nodes), default=0) if serving else 0
        if memory is None or serving is None or memory.gpu is None or not largest or serving.tensor <= largest:
            return
        first = placement.groups[0]
        for changed, remedy in narrower(serving, memory.gpu, largest, pipelines=self._pipelines):
            pod = first.pods[0]
            smaller = replace(pod, requests={**pod.requests, self._resource: changed.tensor})
            wanted = [replace(group, pods=(smaller,) * changed.pipeline) for group in placement.groups]
            found = place([*others, *wanted], nodes, unsuitable)
            if all(one.verdict is Verdict.FITS for one in found if one.owner == placement.owner):
                yield remedy

    def with_notes(self, placement: Placement | None) -> MemoryFit | None:
        """The memory, with a warning where the scheduler may put the model on GPUs that are too small for it."""
        if self.memory is None or placement is None or self.memory.verdict is not Verdict.FITS:
            return self.memory
        small = [node.name for node, found in self._nodes if self._by_gpu[found].verdict is Verdict.DOES_NOT_FIT]
        if not small:
            return self.memory
        names = ", ".join(small[:3]) + (f" and {len(small) - 3} more" if len(small) > 3 else "")  # noqa: PLR2004
        note = f"it does not start on {names}, and nothing keeps it from there: set gpu.product"
        return replace(self.memory, notes=(*self.memory.notes, note))


def _totals(groups: Sequence[Group], nodes: Sequence[Node]) -> tuple[Total, ...]:
    wanted: dict[str, int] = {}
    for group in groups:
        for pod in group.pods:
            for name, value in pod.requests.items():
                wanted[name] = wanted.get(name, 0) + value
    order = sorted((name for name, value in wanted.items() if value), key=lambda name: ("/" not in name, name))
    return tuple(
        Total(
            name,
            wanted[name],
            sum(node.allocatable.get(name, 0) for node in nodes),
            sum(node.used.get(name, 0) for node in nodes),
        )
        for name in order
    )
