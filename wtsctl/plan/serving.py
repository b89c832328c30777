"""A model of models.yaml → how it is served, as far as GPU memory is concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wtsctl.catalog.model import Runtime
from wtsctl.catalog.workload import Workload
from wtsctl.plan.fit import UTILIZATION, KvPrecision, Precision, Serving
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.plan.shapes import known

# KServe's huggingface runtime brings its own vLLM; older ones took 0.9 unless told otherwise.
_KSERVE_UTILIZATION = 0.9
_FLOAT32 = {"float", "float32"}
# Schemes that quantize while loading: the linear layers get 8 bits, the rest stays
# (docs.vllm.ai/en/stable/features/quantization/online).
_ONLINE_FP8 = {"fp8", "fp8_per_tensor", "fp8_per_block", "mxfp8"}
_FP8_SCALE = {"fp8_per_block": 4 / (128 * 128), "mxfp8": 1 / 32}
# vllm/v1/kv_cache_interface.py; further types have layouts of their own.
_KV_BYTES = {
    "float16": (2.0, 0.0),
    "half": (2.0, 0.0),
    "bfloat16": (2.0, 0.0),
    "fp8": (1.0, 0.0),
    "fp8_e4m3": (1.0, 0.0),
    "fp8_e5m2": (1.0, 0.0),
    "int8_per_token_head": (1.0, 4.0),
    "fp8_per_token_head": (1.0, 4.0),
}
# Arguments that take the place of keys, by the names that vLLM gives them.
_FLAGS = {
    "tensor-parallel-size": "tensor",
    "tp": "tensor",
    "pipeline-parallel-size": "pipeline",
    "pp": "pipeline",
    "max-model-len": "length",
    "gpu-memory-utilization": "utilization",
    "quantization": "quantization",
    "q": "quantization",
    "kv-cache-dtype": "kv",
    "dtype": "dtype",
}
# Arguments that change what is needed in ways that are not computed here.
_UNCOUNTED = (
    "block-size",
    "cpu-offload-gb",
    "data-parallel-size",
    "decode-context-parallel-size",
    "dp",
    "enable-dbo",
    "hf-overrides",
    "kv-cache-memory-bytes",
    "kv-cache-memory",
    "num-gpu-blocks-override",
    "prefill-context-parallel-size",
    "speculative-config",
    "swap-space",
)


# Arguments and a variable with which the longest context is another than its config.json says, or is not checked.
_STRETCHING = ("hf-overrides", "hf-config-path", "rope-scaling", "rope-parameters")
_UNCHECKED = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why the memory that a model needs cannot be computed, and what would help."""

    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What is known of a model's memory.

    Attributes:
        serving: the numbers, or why there are none.
        notes: what they leave out.
    """

    serving: Serving | Unknown
    notes: tuple[str, ...] = ()


def served(workload: Workload, checkpoint: Checkpoint | None) -> Served:
    """How a model is served.

    Args:
        workload: the model, with its defaults filled in.
        checkpoint: from its `config`; None: the table of known models is asked.
    """
    spec = workload.spec
    if checkpoint is None:
        checkpoint = _from_table(spec.model)
    given = _Arguments(spec.args)
    quantization = given.text.get("quantization", spec.quantization)
    weights = _weights(checkpoint, quantization, given.text.get("dtype", spec.dtype))
    kv = _kv(checkpoint, given.text.get("kv", spec.kv_cache_dtype), given.text.get("dtype", spec.dtype))
    for missing in (given.unreadable, _shape_unknown(checkpoint), weights, kv):
        if isinstance(missing, Unknown):
            return Served(missing, tuple(given.notes))
    assert checkpoint.shape is not None  # noqa: S101 - for the type checker; _shape_unknown has looked
    assert isinstance(weights, Precision)  # noqa: S101
    assert isinstance(kv, KvPrecision)  # noqa: S101
    shape = checkpoint.shape
    default = UTILIZATION if spec.runtime is Runtime.VLLM else _KSERVE_UTILIZATION
    length = given.length if given.length is not None else spec.max_model_len
    serving = Serving(
        shape=shape,
        weights=weights,
        kv=kv,
        max_model_len=length,
        tensor=given.tensor or spec.parallel.tensor,
        pipeline=given.pipeline or spec.parallel.pipeline,
        utilization=given.utilization or spec.gpu_memory_utilization or default,
        upper_bound=shape.window is not None and shape.window < length,
        stored=checkpoint.weights,
    )
    return Served(serving, tuple(_notes(workload, serving, checkpoint, quantization, given)))


def stretched(workload: Workload) -> bool:
    """Whether a model's `args` or `env` give it another longest context than its config.json."""
    asked = {name.partition(".")[0] for name, _ in _pairs(workload.spec.args)}
    unchecked = workload.spec.env.get(_UNCHECKED, "").strip().lower() in {"1", "true"}
    return unchecked or not asked.isdisjoint(_STRETCHING)


def _from_table(model: str) -> Checkpoint:
    name = model.removeprefix("hf://")
    shape = known(name)
    source = "the table of known models"
    if shape is None:
        return Checkpoint(None, None, source, unknown=f"'{model}' is not in the table of known models")
    return Checkpoint(shape, Precision("bfloat16", 2.0), source)


_CONFIG_HINT = "set `config` to the config.json of its repository"


def _shape_unknown(checkpoint: Checkpoint) -> Unknown | None:
    if checkpoint.shape is not None:
        return None
    in_table = checkpoint.source.startswith("the table")
    return Unknown(checkpoint.unknown, _CONFIG_HINT if in_table else "")


def _weights(checkpoint: Checkpoint, quantization: str | None, dtype: str | None) -> Precision | Unknown:
    if checkpoint.quantized or checkpoint.weights is None:
        # Already quantized: `quantization` only says with which kernels.
        return checkpoint.weights or Unknown(checkpoint.unknown)
    width = 4.0 if dtype in _FLOAT32 else 2.0
    if quantization is None:
        return Precision("float32" if dtype in _FLOAT32 else "16 bits", width, width)
    name = quantization.lower()
    if name in _ONLINE_FP8:
        return Precision(name, 1.0 + _FP8_SCALE.get(name, 0.0), width)
    return Unknown(f"its weights are quantized with {quantization}, and nothing says to how many bits", _CONFIG_HINT)


def _kv(checkpoint: Checkpoint, kind: str | None, dtype: str | None) -> KvPrecision | Unknown:
    if kind in {None, "auto"}:
        if checkpoint.kv_float8:
            return KvPrecision("fp8, as its config.json says", 1.0)
        width = 4.0 if dtype in _FLOAT32 else 2.0
        return KvPrecision("32 bits" if dtype in _FLOAT32 else "16 bits", width)
    if kind not in _KV_BYTES:
        return Unknown(f"its KV cache is of type {kind}, whose layout wtsctl does not know")
    element, scale = _KV_BYTES[kind]
    return KvPrecision(kind, element, scale)


class _Arguments:
    """What a model's `args` say about memory; the server takes the last of equal ones."""

    def __init__(self, args: Sequence[str]) -> None:
        self.text: dict[str, str] = {}
        self.notes: list[str] = []
        self.unreadable: Unknown | None = None
        for name, value in _pairs(args):
            if name in _FLAGS:
                self.text[_FLAGS[name]] = value
            elif name in _UNCOUNTED:
                self.notes.append(f"the argument --{name} is not counted")
        self.tensor = self._integer("tensor")
        self.pipeline = self._integer("pipeline")
        self.length = self._integer("length")
        self.utilization = self._part("utilization")

    def _integer(self, key: str) -> int | None:
        text = self.text.get(key)
        if text is None:
            return None
        # vLLM reads 32k as 32,000 and 32K as 32,768 (human_readable_int, for lengths).
        match = re.fullmatch(r"([0-9]{1,10}(?:\.[0-9]{1,6})?)([kKmM]?)", text)
        scale = {"": 1, "k": 1000, "K": 1024, "m": 10**6, "M": 2**20}
        value = int(float(match[1]) * scale[match[2]]) if match else 0
        if value < 1:
            self.unreadable = Unknown(f"its argument for the {_MEANING[key]} is '{text}'")
            return None
        return value

    def _part(self, key: str) -> float | None:
        text = self.text.get(key)
        if text is None:
            return None
        value = float(text) if re.fullmatch(r"[0-9]{0,3}(?:\.[0-9]{1,9})?", text) and text else 0.0
        if not 0 < value <= 1:
            self.unreadable = Unknown(f"its argument for the {_MEANING[key]} is '{text}'")
            return None
        return value


_MEANING = {
    "tensor": "tensor parallel size",
    "pipeline": "pipeline parallel size",
    "length": "longest context",
    "utilization": "part of the GPU's memory",
}


def _pairs(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options of a command line, `--name=value` or `--name value`; underscores are dashes, as for vLLM."""
    for at, arg in enumerate(args):
        if not re.match(r"--?[A-Za-z]", arg):
            continue
        name, equals, value = arg.lstrip("-").partition("=")
        following = args[at + 1] if at + 1 < len(args) else ""
        yield name.replace("_", "-"), value if equals else following


def _notes(
    workload: Workload, serving: Serving, checkpoint: Checkpoint, quantization: str | None, given: _Arguments
) -> Iterator[str]:
    shape = serving.shape
    yield from given.notes
    if workload.spec.lora is not None:
        yield "the LoRA adapters are not counted"
    if quantization is not None and not checkpoint.quantized:
        yield "the files hold 16 bits a weight, which are quantized while they are loaded"
    if serving.upper_bound:
        yield (
            f"its attention looks back {shape.window:,} tokens in some or all layers, so its KV cache takes less than "
            "is computed here"
        )
    if serving.max_model_len > shape.max_position and not stretched(workload):
        yield f"maxModelLen {serving.max_model_len:,} is more than the {shape.max_position:,} tokens it was made for"
    if workload.gpus > serving.tensor:
        yield f"{workload.gpus - serving.tensor} of the {workload.gpus} GPUs of a pod stay unused"
