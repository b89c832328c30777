"""The smallest changes with which something would fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wtsctl.plan.fit import KvPrecision, Precision, Serving, fit, indivisible, splits
from wtsctl.plan.gpus import GIB, Gpu, products

# A shorter context than this is no model to offer as a remedy.
_USEFUL_LENGTH = 1024
_MOST_GPUS = 64
# What the nodes that can be bought commonly have, for clusters whose nodes are not known.
_GPUS_OF_A_NODE = 8
_MOST_STAGES = 16
_HALF = 2.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change with which something would fit.

    Attributes:
        key: what is changed, for scripts: a key of models.yaml, or `nodes`.
        value: to what.
        text: the same for people, as something to do.
    """

    key: str
    value: int | str
    text: str


def for_memory(serving: Serving, gpu: Gpu, *, pipelines: bool, node_gpus: int | None) -> tuple[Remedy, ...]:
    """Changes of models.yaml with which a model would fit its GPUs, each alone, the smallest first.

    Args:
        serving: how it is served now.
        gpu: the kind of GPU, whose memory is known.
        pipelines: whether the runtime can spread a model over several nodes.
        node_gpus: GPUs of the largest node; None: not known.
    """
    usable = gpu.usable or 0
    found = [*_smaller(serving, gpu), *_spread(serving, usable, pipelines, node_gpus), *_larger(serving, usable)]
    return tuple(found)


def narrower(serving: Serving, gpu: Gpu, node_gpus: int, *, pipelines: bool) -> Iterator[tuple[Serving, Remedy]]:
    """Ways to serve a model that asks for more GPUs of one node than any has: in fewer bits, or over several nodes.

    Each comes with how the model is then served, for its pods are others, and may have no place either.
    """
    usable = gpu.usable or 0
    tensors = [size for size in range(node_gpus, 0, -1) if not splits(serving.shape, size)]
    smaller = replace(serving, weights=Precision("fp8", 1.0, serving.weights.other))
    halved = serving.weights.linear >= _HALF and serving.pipeline == 1 and not gpu.before_ampere
    for tensor in tensors if halved else ():
        changed = replace(smaller, tensor=tensor)
        if _works(changed, usable):
            text = f"set quantization to fp8 and parallel.tensor to {tensor}"
            yield changed, Remedy("quantization, parallel.tensor", f"fp8, {tensor}", text)
            break
    for tensor in tensors[:1] if pipelines else ():
        for stages in range(serving.pipeline + 1, _MOST_STAGES + 1):
            changed = replace(serving, tensor=tensor, pipeline=stages)
            if _works(changed, usable):
                text = f"set parallel to {{tensor: {tensor}, pipeline: {stages}}}: {stages} pods of {tensor} GPUs"
                yield changed, Remedy("parallel.tensor, parallel.pipeline", f"{tensor}, {stages}", text)
                return


def _works(serving: Serving, usable: int) -> bool:
    return not indivisible(serving) and fit(serving, usable).fits


def _smaller(serving: Serving, gpu: Gpu) -> Iterator[Remedy]:
    """With less in memory."""
    usable = gpu.usable or 0
    if indivisible(serving):
        return
    # No longer than the model was made for: vLLM refuses more unless it is told that it is stretched.
    longest = min(fit(serving, usable).longest, serving.shape.max_position)
    if longest >= _USEFUL_LENGTH:
        yield Remedy("maxModelLen", longest, f"set maxModelLen to {longest:,} or less")
    if gpu.before_ampere:
        return
    if serving.kv.element >= _HALF and _works(replace(serving, kv=KvPrecision("fp8", 1.0)), usable):
        yield Remedy("kvCacheDtype", "fp8", "set kvCacheDtype to fp8: half the KV cache")
    if serving.weights.linear >= _HALF:
        smaller = Precision("fp8", 1.0, serving.weights.other)
        if _works(replace(serving, weights=smaller), usable):
            yield Remedy("quantization", "fp8", "set quantization to fp8, or serve an FP8 checkpoint")


def _spread(serving: Serving, usable: int, pipelines: bool, node_gpus: int | None) -> Iterator[Remedy]:
    """Over more GPUs: of one node where that is enough, of several where the runtime can."""
    most = min(_MOST_GPUS, node_gpus or _GPUS_OF_A_NODE)
    for tensor in range(serving.tensor + 1, most + 1):
        if _works(replace(serving, tensor=tensor), usable):
            yield Remedy("parallel.tensor", tensor, f"set parallel.tensor to {tensor}: {tensor} GPUs of one node")
            return
    if not pipelines:
        return
    for stages in range(serving.pipeline + 1, _MOST_STAGES + 1):
        if _works(replace(serving, pipeline=stages), usable):
            each = f"{serving.tensor} GPU{'s' * (serving.tensor > 1)}"
            yield Remedy("parallel.pipeline", stages, f"set parallel.pipeline to {stages}: {stages} pods of {each}")
            return


def _larger(serving: Serving, usable: int) -> Iterator[Remedy]:
    """On a larger GPU of the table."""
    for product in products():
        offered = product.usable or 0
        if offered > usable and _works(serving, offered):
            text = f"take a GPU with {offered / GIB:.1f} GiB for one process, such as {product.product}"
            yield Remedy("gpu.product", product.product, text)
            return
