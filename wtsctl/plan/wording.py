"""Amounts and names in the words of `plan`."""

from __future__ import annotations

from collections.abc import Sequence

from wtsctl.plan.gpus import GIB
from wtsctl.plan.nodes import Node
from wtsctl.pods.requests import CPU, MEMORY, PODS

_NAMED = 3
_MIB = 1024**2


def amount_text(resource: str, value: int) -> str:
    """A number of thousandths of a CPU, of bytes, or of pieces, for people."""
    if resource == CPU:
        return f"{value / 1000:g}"
    if resource == MEMORY:
        return f"{value / GIB:.4g} GiB" if value >= GIB or not value else f"{value / _MIB:.0f} MiB"
    return f"{value:,}"


def resource_text(resource: str) -> str:
    """What an amount is of."""
    return "places for pods" if resource == PODS else resource


def few(names: Sequence[str]) -> str:
    """Some names, not all of a long list."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"


def listed(names: Sequence[str]) -> str:
    """Names as one reads them aloud: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def describe(node: Node) -> str:
    """What a node has, in a few words: `4 x A100-SXM4-80GB, 32 cpu, 256 GiB memory`."""
    parts = []
    for resource, count in node.extended.items():
        found = node.gpu(resource)
        parts.append(f"{count} x {found.product.removeprefix('NVIDIA-') if found and found.product else resource}")
    parts += [f"{amount_text(name, node.allocatable.get(name, 0))} {resource_text(name)}" for name in (CPU, MEMORY)]
    return ", ".join(parts)
