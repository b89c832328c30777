"""The arguments of a model's server, always in the same order; the catalog's own `args` come last and win."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wtsctl.catalog.model import LoraAdapter, Model

# Seconds that a server has for the requests that are open when it is told to stop.
DRAIN_SECONDS = 45


def engine_arguments(spec: Model) -> list[str]:
    """How vLLM computes a model, also inside another server: parallelism, context, types, memory.

    Each flag is one of vLLM 0.33's (vllm/engine/arg_utils.py); a key that is unset gives none, so that the server's
    own default holds.
    """
    given: tuple[tuple[str, str | float | None], ...] = (
        ("--tensor-parallel-size", spec.parallel.tensor),
        ("--pipeline-parallel-size", spec.parallel.pipeline if spec.parallel.pipeline > 1 else None),
        ("--max-model-len", spec.max_model_len),
        ("--dtype", spec.dtype),
        ("--quantization", spec.quantization),
        ("--kv-cache-dtype", spec.kv_cache_dtype),
        ("--gpu-memory-utilization", spec.gpu_memory_utilization),
        ("--max-num-seqs", spec.max_num_seqs),
    )
    return [word for flag, value in given if value is not None for word in (flag, str(value))]


def frontend_arguments(spec: Model, chat_template: str | None) -> list[str]:
    """How vLLM reads messages and writes answers: chat template, tools, reasoning, adapters.

    Args:
        spec: the model.
        chat_template: path of the chat template in the container; None: the model's own.
    """
    words = ["--chat-template", chat_template] if chat_template else []
    if spec.tool_calling:
        # Without the first, a request with tools is refused; without the second, the server does not start.
        words += ["--enable-auto-tool-choice", "--tool-call-parser", spec.tool_calling.parser]
    if spec.reasoning_parser:
        words += ["--reasoning-parser", spec.reasoning_parser]
    if spec.lora:
        modules = [_lora_module(adapter) for adapter in spec.lora.adapters]
        words += ["--enable-lora", "--max-lora-rank", str(spec.lora.max_rank), "--lora-modules", *modules]
    return words


def vllm_arguments(spec: Model, port: int, chat_template: str | None) -> list[str]:
    """The arguments of `vllm serve`.

    Args:
        spec: the model.
        port: where the container listens.
        chat_template: path of the chat template in the container; None: the model's own.
    """
    return [
        spec.model,
        "--served-model-name",
        spec.name,
        *spec.aliases,
        "--host",
        "0.0.0.0",  # noqa: S104 - inside the pod
        "--port",
        str(port),
        *engine_arguments(spec),
        *frontend_arguments(spec, chat_template),
        *_nodes(spec),
        "--shutdown-timeout",
        str(DRAIN_SECONDS),
        *spec.args,
    ]


def _nodes(spec: Model) -> list[str]:
    """Which of how many nodes this is, and where the first one is: from what LeaderWorkerSet tells each container.

    vLLM's documentation, "Parallelism and Scaling", multiprocessing; Kubernetes puts the variables in.
    """
    if spec.parallel.pipeline == 1:
        return []
    rank, address = "$(LWS_WORKER_INDEX)", "$(LWS_LEADER_ADDRESS)"
    return ["--nnodes", str(spec.parallel.pipeline), "--node-rank", rank, "--master-addr", address]


def llamacpp_arguments(spec: Model, port: int, chat_template: str | None) -> list[str]:
    """The arguments of llama.cpp's server; parameters as for `vllm_arguments`."""
    return [*_llamacpp(spec, port, chat_template), *spec.args]


def _llamacpp(spec: Model, port: int, chat_template: str | None) -> Iterator[str]:
    slots = spec.max_num_seqs or 1
    yield from ("--model", spec.model, "--alias", ",".join((spec.name, *spec.aliases)))
    yield from ("--host", "0.0.0.0", "--port", str(port))  # noqa: S104 - inside the pod
    # The context is divided among the slots: every request gets the whole of maxModelLen.
    yield from ("--parallel", str(slots), "--ctx-size", str(slots * spec.max_model_len))
    if spec.threads is not None:
        yield from ("--threads", str(spec.threads))
    if chat_template:
        # Without --jinja only templates that the server knows by heart are taken.
        yield from ("--jinja", "--chat-template-file", chat_template)
    # By default the server keeps up to 8 GiB of old prompts in memory, more than most limits allow.
    yield from ("--cache-ram", "0", "--metrics")


def _lora_module(adapter: LoraAdapter) -> str:
    """`NAME=SOURCE`, or as JSON where vLLM would take that for JSON."""
    if "," in adapter.source:
        return json.dumps({"name": adapter.name, "path": adapter.source}, separators=(",", ":"))
    return f"{adapter.name}={adapter.source}"
