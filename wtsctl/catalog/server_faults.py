"""What is wrong within a model that vLLM or llama.cpp serves from a pod of our own, and with its download."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model, Runtime
from wtsctl.catalog.platform import Cache

_LEAVE_OUT = "leave it out"


def server_faults(path: Path, model: Model) -> Iterator[Fault]:
    """Keys that the model's server does not read; those of KServe are checked elsewhere."""
    if model.runtime is Runtime.LLAMACPP:
        for keys, value, why in _unused_by_llamacpp(model):
            if value:
                text = f"has no effect with runtime llamacpp{why}"
                yield Fault(Code.NO_EFFECT, (*path, *keys), text, _LEAVE_OUT, at_key=True)
    elif model.threads is not None:
        text = f"has no effect with runtime {model.runtime.value}: only llamacpp reads it"
        yield Fault(Code.NO_EFFECT, (*path, "threads"), text, _LEAVE_OUT, at_key=True)
    if model.runtime is Runtime.VLLM and model.download and model.model.startswith("/"):
        text = "has no effect: the weights are read from a path"
        yield Fault(Code.NO_EFFECT, (*path, "download"), text, _LEAVE_OUT, at_key=True)


def _unused_by_llamacpp(model: Model) -> tuple[tuple[tuple[str, ...], object, str], ...]:
    """Keys, whether they are set, and why the server does not read them."""
    gguf = ": the GGUF file says it"
    return (
        (("parallel", "tensor"), model.parallel.tensor > 1, ", which is not split over GPUs"),
        (("parallel", "pipeline"), model.parallel.pipeline > 1, ", which is not split over nodes"),
        (("dtype",), model.dtype, gguf),
        (("quantization",), model.quantization, gguf),
        (("kvCacheDtype",), model.kv_cache_dtype, ", whose types have other names; `args` takes --cache-type-k and -v"),
        (("gpuMemoryUtilization",), model.gpu_memory_utilization, ", which takes what it needs"),
        (("toolCalling",), model.tool_calling, ", which takes the parser from the chat template"),
        (("reasoningParser",), model.reasoning_parser, ", which takes it from the chat template"),
        (("lora",), model.lora, "; `args` takes --lora"),
        (("download",), model.download, ", which reads weights from its image"),
    )


def volume_faults(cache: Cache | None, models: Sequence[tuple[int, Model]]) -> Iterator[Fault]:
    """Downloads and copies over several nodes, which need a volume that several pods can hold at once."""
    for index, model in models:
        path: Path = ("models", index)
        if model.runtime is not Runtime.VLLM:
            continue
        if model.download and cache is None:
            text = "needs `cache`, the volume that the Job writes and the server reads"
            yield Fault(Code.REFERENCE, (*path, "download"), text, "add `cache`, or leave it out", at_key=True)
        if cache is None or cache.access_mode == "ReadWriteMany":
            continue
        hint = "set cache.accessMode to ReadWriteMany"
        if model.download:
            text = f"the Job and the server that waits for it may be on two nodes, and the cache is {cache.access_mode}"
            yield Fault(Code.VALUE, (*path, "download"), text, hint, at_key=True)
        if model.parallel.pipeline > 1:
            text = f"one copy is on {model.parallel.pipeline} nodes, and the cache is {cache.access_mode}"
            yield Fault(Code.VALUE, (*path, "parallel", "pipeline"), text, hint)
