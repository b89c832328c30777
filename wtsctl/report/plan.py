"""What `plan` says: a row a model, a row a node, and below them what does not fit and what would help."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from wtsctl.errors import NotReadyError, Problem
from wtsctl.plan.explain import explain
from wtsctl.plan.gpus import GIB
from wtsctl.plan.verdict import Verdict
from wtsctl.plan.wording import amount_text, describe, few
from wtsctl.pods.requests import CPU
from wtsctl.printable import printable
from wtsctl.report.models import plain_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table
    from rich.text import Text

    from wtsctl.plan.capacity import ModelPlan, Plan
    from wtsctl.plan.memory import MemoryFit
    from wtsctl.plan.nodes import Node
    from wtsctl.plan.placement import Placement
    from wtsctl.plan.remedies import Remedy
    from wtsctl.report.terminal import Terminal

_STYLES = {Verdict.FITS: "green", Verdict.DOES_NOT_FIT: "bold red", Verdict.UNKNOWN: "yellow"}
_WORDS = {Verdict.FITS: "fits", Verdict.DOES_NOT_FIT: "no", Verdict.UNKNOWN: "unknown"}
_NOT_LOOKED = (
    "No nodes were looked at, as no cluster is configured: only the GPUs that the catalog names. Give --nodes FILE "
    "or --kubeconfig for the rest."
)


def plan_data(plan: Plan, source: str) -> dict[str, Any]:
    """The `data` of `plan -o json`; `source` is where the nodes come from."""
    return {
        "verdict": plan.verdict.value,
        "models": [_model(one) for one in plan.models],
        "others": [
            {"owner": one.owner, "reasons": _reasons(one), **_placement(one)}
            | {"remedies": [_remedy(each) for each in one.remedies]}
            for one in plan.others
        ],
        "nodesFrom": source if plan.inventory else None,
        "podsKnown": plan.inventory.pods_known if plan.inventory else None,
        "nodes": [_node(node, plan) for node in plan.inventory.nodes] if plan.inventory else None,
        "totals": [
            {
                "resource": one.resource,
                "wanted": _base(one.resource, one.wanted),
                "allocatable": _base(one.resource, one.allocatable),
                "used": _base(one.resource, one.used),
            }
            for one in plan.totals
        ],
        "remedy": _remedy(plan.remedy) | {"leftOut": list(plan.left_out)} if plan.remedy else None,
    }


def _reasons(other: Placement) -> list[str]:
    return [f"nodes: {other.reason}"] if other.reason else []


def _base(resource: str, value: int) -> int | float:
    """An amount in Kubernetes' base unit: CPUs, bytes, pieces."""
    return value / 1000 if resource == CPU else value


def _model(one: ModelPlan) -> dict[str, Any]:
    return {
        "name": one.workload.name,
        "runtime": one.workload.spec.runtime.value,
        "namespace": one.workload.namespace,
        "verdict": one.verdict.value,
        "reasons": list(one.reasons),
        "hint": one.hint,
        "notes": list(one.memory.notes) if one.memory else [],
        "memory": _memory(one.memory) if one.memory else None,
        "placement": _placement(one.placement) if one.placement else None,
        "remedies": [_remedy(each) for each in one.remedies],
    }


def _memory(memory: MemoryFit) -> dict[str, Any]:
    serving, fit, gpu = memory.serving, memory.fit, memory.gpu
    return {
        "verdict": memory.verdict.value,
        "gpu": {"product": gpu.product, "usableBytes": gpu.usable, "source": gpu.source} if gpu else None,
        "serving": {
            "gpus": serving.gpus,
            "tensor": serving.tensor,
            "pipeline": serving.pipeline,
            "maxModelLen": serving.max_model_len,
            "gpuMemoryUtilization": serving.utilization,
            "parameters": serving.shape.parameters,
            "weights": serving.weights.name,
            "weightBytes": serving.weight_bytes,
            "kvCache": serving.kv.name,
            "kvBytesPerToken": serving.kv_token_bytes,
        }
        if serving
        else None,
        "requiredBytesPerGpu": memory.required,
        "perGpu": {
            "budgetBytes": fit.budget,
            "weightBytes": fit.weights,
            "overheadBytes": fit.overhead,
            "kvRoomBytes": fit.room,
            "kvBytesPerToken": fit.kv_token,
            "kvNeededBytes": fit.needed,
        }
        if fit
        else None,
        "kvTokens": fit.longest if fit else None,
        "longestContext": memory.longest_context,
        "sequences": round(fit.sequences, 2) if fit else None,
    }


def _placement(placement: Placement) -> dict[str, Any]:
    return {
        "verdict": placement.verdict.value,
        "replicas": len(placement.groups),
        "placed": placement.placed,
        "nodes": [list(names) for names in placement.nodes],
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {"key": remedy.key, "value": remedy.value, "text": remedy.text}


def _node(node: Node, plan: Plan) -> dict[str, Any]:
    planned = _planned(plan, node)
    names = list(dict.fromkeys([*node.extended, "cpu", "memory", "pods"]))
    return {
        "name": node.name,
        "problem": node.problem,
        "gpus": [
            {"resource": name, "product": found.product, "usableBytes": found.usable}
            for name in node.extended
            if (found := node.gpu(name)) is not None
        ],
        "resources": [
            {
                "resource": name,
                "allocatable": _base(name, node.allocatable.get(name, 0)),
                "used": _base(name, node.used.get(name, 0)),
                "planned": _base(name, planned.get(name, 0)),
            }
            for name in names
        ],
    }


def _planned(plan: Plan, node: Node) -> dict[str, int]:
    """What the planned pods on a node request."""
    found: dict[str, int] = {}
    for placement in _placements(plan):
        for group, names in zip(placement.groups, placement.nodes, strict=True):
            for pod, name in zip(group.pods, names, strict=False):
                for resource, value in pod.requests.items() if name == node.name else ():
                    found[resource] = found.get(resource, 0) + value
    return found


def _placements(plan: Plan) -> Iterator[Placement]:
    yield from (one.placement for one in plan.models if one.placement is not None)
    yield from plan.others


def show_arithmetic(terminal: Terminal, plan: Plan) -> None:
    """With `-v`, every number of every model, on stderr."""
    for one in plan.models:
        if one.memory is None:
            terminal.detail(f"{one.workload.name}: runs without GPUs; nothing is computed")
            continue
        serving = one.memory.serving
        gpus = f" on {serving.gpus} x {one.memory.gpu.name}" if serving and one.memory.gpu else ""
        terminal.detail(f"{one.workload.name}{gpus}:")
        for line in explain(one.memory):
            terminal.detail(f"  {line}")


def show_plan(terminal: Terminal, plan: Plan) -> None:
    """Write the tables and what is to be said below them on stdout."""
    terminal.print(_models(plan))
    if any(one.memory for one in plan.models):
        _print_message(terminal, _LEGEND)
    if plan.inventory is not None:
        terminal.print("")
        terminal.print(_nodes(plan))
    lines = list(remarks(plan))
    if lines:
        terminal.print("")
    for line in lines:
        _print_message(terminal, line)


def _print_message(terminal: Terminal, line: str) -> None:
    """One line, broken on a screen that is too narrow for it so that what follows stands further in."""
    console = terminal.console()
    if console.soft_wrap:
        terminal.print(line)
        return
    inner = " " * (len(line) - len(line.lstrip()) + 4)
    wrapped = textwrap.wrap(
        line, console.width, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False
    )
    terminal.print("\n".join(wrapped))


_LEGEND = (
    "WEIGHTS: of one replica, over all its GPUs. KV ROOM: on each GPU. LONGEST: tokens of one context. "
    "AT ONCE: contexts of maxModelLen."
)


def _models(plan: Plan) -> Table:
    table = plain_table()
    table.add_column("MODEL", overflow="fold")
    table.add_column("GPUS", no_wrap=True)
    for name in ("WEIGHTS", "KV ROOM", "LONGEST", "AT ONCE"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("FITS", no_wrap=True)
    for one in plan.models:
        table.add_row(*_row(one), _verdict(one.verdict))
    for other in plan.others:
        table.add_row(other.owner.rpartition("/")[2], "-", "-", "-", "-", "-", _verdict(other.verdict))
    return table


def _row(one: ModelPlan) -> tuple[str, ...]:
    memory = one.memory
    if memory is None:
        return one.workload.name, "none", "-", "-", "-", "-"
    serving, fit = memory.serving, memory.fit
    count = serving.gpus if serving else one.workload.gpus * one.workload.spec.parallel.pipeline
    product = memory.gpu.product.removeprefix("NVIDIA-") if memory.gpu and memory.gpu.product else "?"
    return (
        one.workload.name,
        f"{count} x {product}",
        f"{serving.weight_bytes / GIB:.1f} GiB" if serving else "?",
        f"{fit.room / GIB:.1f} GiB" if fit else "?",
        f"{memory.longest_context:,}" if memory.longest_context is not None else "?",
        f"{fit.sequences:.1f}" if fit else "?",
    )


def _nodes(plan: Plan) -> Table:
    table = plain_table()
    table.add_column("NODE", overflow="fold")
    table.add_column("HAS", overflow="fold")
    table.add_column("USED", overflow="fold")
    table.add_column("PLANNED", overflow="fold")
    for node in plan.inventory.nodes if plan.inventory else ():
        names = [name for placement in _placements(plan) for name in _on(placement, node)]
        used = [f"{amount_text(name, node.used[name])} {name}" for name in _shown(node) if node.used.get(name)]
        has = describe(node) + (f" ({node.problem})" if node.problem else "")
        cells = (node.name, has, ", ".join(used) or "-", ", ".join(names) or "-")
        table.add_row(*(printable(cell) for cell in cells))
    return table


def _shown(node: Node) -> Sequence[str]:
    return [*node.extended, "cpu", "memory"]


def _on(placement: Placement, node: Node) -> Iterator[str]:
    count = sum(names.count(node.name) for names in placement.nodes)
    if count:
        name = placement.model or placement.owner.rpartition("/")[2]
        yield name if count == 1 else f"{count} x {name}"


def remarks(plan: Plan) -> Iterator[str]:
    """What does not fit, why, and what would help; then what was not looked at."""
    # Further nodes for all of them are named once, below.
    once = plan.remedy is not None
    for one in plan.models:
        name = one.workload.name
        yield from _told(name, one.verdict, one.reasons, _own(one.remedies, once=once), one.hint)
        for note in one.memory.notes if one.memory else ():
            yield printable(f"{name}: note: {note}")
    for other in plan.others:
        yield from _told(other.owner, other.verdict, _reasons(other), _own(other.remedies, once=once), "")
    if plan.remedy:
        but = f" but those of {few(plan.left_out)}" if plan.left_out else ""
        yield printable(f"All pods{but} would have a place: {plan.remedy.text}.")
    if plan.inventory is None:
        yield _NOT_LOOKED
    elif not plan.inventory.pods_known:
        yield "No pods were among the nodes: nothing of them is taken as used."
    for total in plan.totals:
        if total.wanted > total.allocatable - total.used:
            wanted, free = (amount_text(total.resource, v) for v in (total.wanted, total.allocatable - total.used))
            yield f"All nodes together: {wanted} {total.resource} wanted, {free} free."


def _own(remedies: Sequence[Remedy], *, once: bool) -> Sequence[Remedy]:
    return [one for one in remedies if one.key != "nodes"] if once else remedies


def _told(name: str, verdict: Verdict, reasons: Sequence[str], remedies: Sequence[Remedy], hint: str) -> Iterator[str]:
    if verdict is Verdict.FITS:
        return
    word = "does not fit" if verdict is Verdict.DOES_NOT_FIT else "not known whether it fits"
    yield printable(f"{name}: {word}")
    for reason in reasons:
        yield printable(f"    {reason}")
    if hint:
        yield printable(f"    hint: {hint}")
    for at, remedy in enumerate(remedies):
        yield printable(f"    {'or' if at else 'would do'}: {remedy.text}")


def _verdict(verdict: Verdict) -> Text:
    from rich.text import Text

    return Text(_WORDS[verdict], style=_STYLES[verdict])


def does_not_fit(plan: Plan) -> tuple[Problem, ...]:
    """The problem of what does not fit; the reasons stand in `data` and below the table."""
    names = [one.workload.name for one in plan.models if one.verdict is Verdict.DOES_NOT_FIT]
    names += [one.owner for one in plan.others if one.verdict is Verdict.DOES_NOT_FIT]
    if not names:
        return ()
    total = len(plan.models) + len(plan.others)
    return (Problem(NotReadyError.code, f"{len(names)} of {total} would not fit: {', '.join(names)}"),)
