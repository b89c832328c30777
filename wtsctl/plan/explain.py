"""The arithmetic of a model's memory, in the words of docs/explanation/fit.md."""

from __future__ import annotations

from collections.abc import Iterator

from wtsctl.plan.fit import BLOCK, Serving
from wtsctl.plan.gpus import GIB
from wtsctl.plan.memory import MemoryFit


def explain(memory: MemoryFit) -> Iterator[str]:
    """The arithmetic of a model, line by line, as `plan -v` shows it."""
    serving, stood = memory.serving, memory.fit
    if serving is None:
        yield f"not computed: {memory.reason}"
        return
    shape, tensor = serving.shape, serving.tensor
    yield f"parameters    {_parameters(serving)} = {shape.parameters:,}"
    yield f"weights       {_weights(serving)} = {serving.weight_bytes / GIB:.2f} GiB"
    token = f"2 x {shape.layers} layers x {shape.kv_heads} heads x {shape.head_dim} x {serving.kv.element:g} bytes"
    scales = f" + {serving.kv.scale:g} a head" if serving.kv.scale else ""
    yield f"KV per token  {token}{scales} = {serving.kv_token_bytes / 1024:g} KiB ({serving.kv.name})"
    if stood is None or memory.gpu is None:
        if memory.required is not None:
            yield f"GPU memory    at least {memory.required / GIB:.2f} GiB on each of {serving.gpus} GPUs"
        return
    spread = f" / {tensor} GPUs" if tensor > 1 else ""
    if serving.pipeline > 1:
        spread = f", the fullest of {serving.pipeline} stages{spread}"
    yield f"on each GPU   ({memory.gpu.name}: {stood.gpu / GIB:.1f} GiB, from {memory.gpu.source})"
    yield f"  weights     x 1.02 once loaded{spread} = {stood.weights / GIB:.2f} GiB"
    yield f"  overhead    2.3 GiB + 0.05 x {stood.weights / GIB:.2f} = {stood.overhead / GIB:.2f} GiB"
    yield (
        f"  KV room     {stood.gpu / GIB:.1f} x {serving.utilization:g} - {stood.weights / GIB:.2f} - "
        f"{stood.overhead / GIB:.2f} = {stood.room / GIB:.2f} GiB"
    )
    blocks = -(-serving.max_model_len // BLOCK)
    yield (
        f"  needed      {blocks * BLOCK:,} tokens x {stood.kv_token / 1024:g} KiB = {stood.needed / GIB:.2f} GiB"
        f" for one sequence of {serving.max_model_len:,}"
    )
    if stood.room > 0:
        yield f"  so          {stood.longest:,} tokens in all: {stood.sequences:.1f} full-length sequences at once"
    else:
        yield "  so          not even the weights fit"


def _parameters(serving: Serving) -> str:
    shape = serving.shape
    attention = f"2x{shape.hidden}x{shape.heads}x{shape.head_dim} + 2x{shape.hidden}x{shape.kv_heads}x{shape.head_dim}"
    experts = f"x{shape.experts}" if shape.experts else ""
    layer = f"{attention} + 3x{shape.hidden}x{shape.intermediate}{experts} + {shape.layer_other}"
    ends = f"{1 if shape.tied else 2}x{shape.vocabulary}x{shape.hidden}"
    return f"{shape.layers} x ({layer}) + {shape.hidden} + {ends}"


def _weights(serving: Serving) -> str:
    shape, weights = serving.shape, serving.weights
    if weights.linear == weights.other:
        return f"x {weights.linear:g} bytes ({weights.name})"
    linear = shape.layers * shape.layer_linear
    return (
        f"{linear:,} x {weights.linear:.4g} + {shape.parameters - linear:,} x {weights.other:g} bytes ({weights.name})"
    )
