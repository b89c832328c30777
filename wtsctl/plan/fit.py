"""Does a model fit the GPUs it asks for: weights, overhead and KV cache, in bytes a GPU.

The formulas, where each comes from and how they were checked: docs/explanation/fit.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from wtsctl.plan.gpus import GIB
from wtsctl.plan.shapes import Shape

# What vLLM takes of a GPU unless told otherwise (gpu_memory_utilization; vllm/config/cache.py).
UTILIZATION = 0.92
# Tokens of one block of the KV cache (DEFAULT_BLOCK_SIZE there): a sequence takes whole blocks.
BLOCK = 16
# Measured by KAITO on vLLM: a loaded model is 2 % larger than its files; CUDA's context, activations and CUDA
# graphs take 2.3 GiB and 5 % of the weights of each GPU (kaito, pkg/workspace/estimator/nodesestimator).
_EXPANSION = 1.02
_BASE_OVERHEAD = 2.3 * GIB
_OVERHEAD_OF_WEIGHTS = 0.05


@dataclass(frozen=True, slots=True)
class Precision:
    """How many bytes a weight takes.

    Attributes:
        name: as models.yaml or config.json calls it.
        linear: of the layers' projections, scales of their quantization included.
        other: of the embedding, the output head and the norms, which stay unquantized.
    """

    name: str
    linear: float
    other: float = 2.0


@dataclass(frozen=True, slots=True)
class KvPrecision:
    """How many bytes one number of the KV cache takes; `scale` is added per head and token."""

    name: str
    element: float
    scale: float = 0.0

    def head(self, width: int) -> float:
        """Bytes of one head's key or value of one token."""
        return width * self.element + self.scale


@dataclass(frozen=True, slots=True)
class Serving:
    """How a model is served, as far as GPU memory is concerned.

    Attributes:
        shape: of the model.
        weights: their precision, once they are loaded.
        kv: that of the KV cache.
        max_model_len: longest context that is allowed, in tokens.
        tensor: GPUs that share each layer.
        pipeline: groups of GPUs that share the layers among them.
        utilization: the part of a GPU's memory that the server takes.
        upper_bound: the KV cache takes at most what is computed here (sliding windows, calibrated caches).
        stored: precision of the weights in the files; None: as they are loaded.
    """

    shape: Shape
    weights: Precision
    kv: KvPrecision
    max_model_len: int
    tensor: int = 1
    pipeline: int = 1
    utilization: float = UTILIZATION
    upper_bound: bool = False
    stored: Precision | None = None

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, once they are loaded."""
        return self._bytes(self.weights)

    @property
    def file_bytes(self) -> int:
        """Bytes of all weights, as they are downloaded and read: before those are quantized that are while loading."""
        return self._bytes(self.stored or self.weights)

    def _bytes(self, precision: Precision) -> int:
        shape = self.shape
        linear = shape.layers * shape.layer_linear
        return round(linear * precision.linear + (shape.parameters - linear) * precision.other)

    @property
    def kv_token_bytes(self) -> int:
        """Bytes of the KV cache that one token takes, over all layers and GPUs without copies."""
        shape = self.shape
        return round(2 * shape.layers * shape.kv_heads * self.kv.head(shape.head_dim))


@dataclass(frozen=True, slots=True)
class Fit:
    """What stands on one GPU of the stage that has the least room; all sizes in bytes a GPU.

    Attributes:
        gpu: memory of the GPU that a process can have.
        budget: the part of it that the server takes.
        weights: the stage's weights, loaded.
        overhead: CUDA's context, activations, CUDA graphs.
        room: what is left for the KV cache; below zero: not even the weights fit.
        kv_token: what one token takes.
        needed: what one sequence of the allowed length takes.
        longest: tokens for which the room is enough, in whole blocks.
        sequences: sequences of the allowed length that fit at once.
    """

    gpu: int
    budget: int
    weights: int
    overhead: int
    room: int
    kv_token: int
    needed: int
    longest: int
    sequences: float

    @property
    def fits(self) -> bool:
        """Whether the server would start: vLLM refuses to unless one sequence of the allowed length fits."""
        return self.room >= self.needed


def splits(shape: Shape, tensor: int) -> str:
    """Why the heads cannot be shared out to `tensor` GPUs; empty where they can.

    As vLLM's models check it: whole query heads on each GPU, and whole key/value heads, or copies of one.
    """
    if shape.heads % tensor:
        return f"{shape.heads} attention heads cannot be shared out to {tensor} GPUs"
    larger, smaller = max(shape.kv_heads, tensor), min(shape.kv_heads, tensor)
    if larger % smaller:
        return f"{shape.kv_heads} key/value heads cannot be shared out to {tensor} GPUs"
    return ""


def indivisible(serving: Serving) -> str:
    """Why a model cannot be shared out to the GPUs it is given; empty where it can."""
    if serving.pipeline > serving.shape.layers:
        return f"{serving.shape.layers} layers cannot be shared out to {serving.pipeline} pipeline stages"
    return splits(serving.shape, serving.tensor)


def stages(layers: int, pipeline: int) -> tuple[int, ...]:
    """Layers of each pipeline stage, as vLLM shares them out (vllm/distributed/utils.py, get_pp_indices).

    What does not divide goes to the stages before the last, from the back.
    """
    counts = [layers // pipeline] * pipeline
    for back in range(2, layers % pipeline + 2):
        counts[-back] += 1
    return tuple(counts)


def fit(serving: Serving, gpu_bytes: int) -> Fit:
    """How the model stands on GPUs with `gpu_bytes` of usable memory each."""
    counts = stages(serving.shape.layers, serving.pipeline)
    stood = [_stage(serving, gpu_bytes, at, layers) for at, layers in enumerate(counts) if layers]
    return min(stood, key=lambda one: (one.longest, one.room))


def _stage(serving: Serving, gpu_bytes: int, at: int, layers: int) -> Fit:
    shape = serving.shape
    tensor = serving.tensor
    # With fewer key/value heads than GPUs, each GPU holds a copy of one.
    copies = max(1, tensor // shape.kv_heads)
    linear = shape.query_output + shape.key_value * copies + shape.feed_forward
    other = layers * shape.layer_other
    first, last = at == 0, at == serving.pipeline - 1
    if first:
        other += shape.embedding
    if last:
        # The head of a model with tied weights is the embedding; without that on the same GPU, a copy of it.
        other += shape.hidden + (shape.embedding if not (shape.tied and first) else 0)
    weights = _EXPANSION * (layers * linear * serving.weights.linear + other * serving.weights.other) / tensor
    overhead = _BASE_OVERHEAD + _OVERHEAD_OF_WEIGHTS * weights
    budget = gpu_bytes * serving.utilization
    room = budget - weights - overhead
    heads = max(1, shape.kv_heads // tensor)
    kv_token = 2 * layers * heads * serving.kv.head(shape.head_dim)
    blocks = -(-serving.max_model_len // BLOCK)
    fitting = max(0, int(room / (kv_token * BLOCK)))
    return Fit(
        gpu=gpu_bytes,
        budget=round(budget),
        weights=round(weights),
        overhead=round(overhead),
        room=round(room),
        kv_token=round(kv_token),
        needed=round(blocks * BLOCK * kv_token),
        longest=fitting * BLOCK,
        sequences=fitting / blocks,
    )
