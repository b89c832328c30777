"""What a line of a log or of an event means, where servers of models are known to fail with it.

`source` names an issue of the project about it. Tests hold a line of each: most are quoted in public issues, not always
in that one, and a few are written after messages that are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Place(StrEnum):
    """Where a line was written."""

    LOG = "log"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Signature:
    """A known failure.

    Attributes:
        name: one word for it, stable, for scripts.
        pattern: what a line of it holds, in lower case.
        place: where such a line stands.
        meaning: what happened.
        advice: what to do about it, in terms of models.yaml where that has a key for it.
        source: where it was seen, as PROJECT#ISSUE.
    """

    name: str
    pattern: re.Pattern[str]
    place: Place
    meaning: str
    advice: str
    source: str


@dataclass(frozen=True, slots=True)
class Match:
    """A signature that was found, and the line that it was found in."""

    signature: Signature
    line: str


def _log(name: str, pattern: str, meaning: str, advice: str, source: str) -> Signature:
    return Signature(name, re.compile(pattern), Place.LOG, meaning, advice, source)


def _event(name: str, pattern: str, meaning: str, advice: str, source: str) -> Signature:
    return Signature(name, re.compile(pattern), Place.EVENT, meaning, advice, source)


# The more specific first: of several that are found the first one is told.
SIGNATURES = (
    _log(
        "gated-model",
        r"access to model .{1,200} is restricted|cannot access gated repo|gatedrepoerror|401 client error",
        "Hugging Face refuses the weights: the token is missing, or its owner has not accepted the model's licence",
        "accept the licence on the model's page, and check the Secret with the token that `secrets.huggingface` names",
        "kserve/kserve#4400",
    ),
    _log(
        "kv-cache",
        r"to serve at least one request with the models?'?s max seq len"
        r"|max seq len .{1,40} is larger than the maximum number of tokens that can be stored in kv cache",
        "the KV cache of one request of full length does not fit beside the weights",
        "lower `maxModelLen`, or give it more or larger GPUs; `wtsctl plan` says what fits",
        "vllm-project/vllm#2418",
    ),
    _log(
        "gpu-memory",
        r"cuda out of memory|torch\.outofmemoryerror",
        "the weights or the engine's buffers do not fit into the GPU's memory",
        "use more GPUs by `parallel.tensor`, a quantized model, or a lower `maxModelLen`; is anything else on the GPU?",
        "vllm-project/vllm#31273",
    ),
    _log(
        "shared-memory",
        r"error while creating shared memory segment /dev/shm",
        "the shared memory under /dev/shm is too small for what the GPUs exchange",
        "raise `resources.limits.memory`, inside which /dev/shm lies, or its size by `patches`",
        "vllm-project/vllm#4383",
    ),
    _log(
        "startup-killed",
        r"keyboardinterrupt: terminated",
        "the kubelet stopped the server while it loaded: the startup probe's time was over",
        "raise `startupTimeout`",
        "vllm-project/vllm#17386",
    ),
    _log(
        "service-port",
        r"vllm_port .{1,200} appears to be a uri",
        "Kubernetes put the address of a Service called `vllm` into VLLM_PORT",
        "rename that Service, or set `enableServiceLinks: false` in the pod",
        "vllm-project/vllm#34199",
    ),
    _log(
        "bfloat16",
        r"bfloat16 is only supported on gpus with compute capability",
        "the GPU is too old for bfloat16",
        "add `--dtype=half` to `args`",
        "vllm-project/vllm#1157",
    ),
    _log(
        "chat-template",
        r"default chat template is no longer allowed",
        "the model's tokenizer has no chat template, so that it cannot chat",
        "give one by `chatTemplate`",
        "vllm-project/vllm#39279",
    ),
    _log(
        "tool-choice",
        r"auto.{0,3} tool choice requires --enable-auto-tool-choice",
        "a caller uses tools, and the server was started without",
        "set `toolCalling` with the parser that fits the model",
        "vllm-project/vllm#9986",
    ),
    _log(
        "arbitrary-user",
        r"getpwuid\(\): uid not found|permission denied: '/\.cache",
        "the server runs under a user id that its image does not know, as on OpenShift, without HOME and USER",
        "set HOME and USER in `env`, and the caches to a folder that may be written to",
        "vllm-project/vllm#44548",
    ),
    _log(
        "read-only-cache",
        r"read-only file system",
        "a cache or the home folder lies on a file system that may not be written to",
        "set HF_HOME in `env` to a volume that may be written to",
        "llm-d-incubation/llm-d-modelservice#243",
    ),
    _log(
        "unknown-model",
        r"the model `?.{1,200}`? does not exist",
        "a caller asks for another name than the server answers to",
        "compare the name with those that `wtsctl status` shows under SERVES",
        "vllm-project/vllm#3486",
    ),
    _log(
        "gguf-missing",
        r"failed to open gguf file|--model: no such file",
        "llama.cpp does not find the file with the weights",
        "check `model`: it is a path inside the container",
        "ggml-org/llama.cpp#15919",
    ),
    _event(
        "gpus-short",
        r"insufficient (nvidia|amd)\.com/gpu",
        "no node has that many GPUs free; while it is updated, the pods from before may hold them",
        "free some, or ask for fewer by `gpus`; `wtsctl plan` shows what the nodes have",
        "defilantech/LLMKube#192",
    ),
    _event(
        "multi-attach",
        r"multi-attach error for volume",
        "the volume can be on one node at a time, and a pod on another node has it",
        "use a storage class with ReadWriteMany, or one pod",
        "vllm-project/production-stack#107",
    ),
    _event(
        "startup-probe",
        r"failed startup probe, will be restarted",
        "the load took longer than the startup probe allows",
        "raise `startupTimeout`",
        "vllm-project/vllm#17386",
    ),
    _event(
        "registry-login",
        r"pull access denied|401 unauthorized|authentication required|403 forbidden",
        "the registry does not let the node pull the image without a login, or there is no such image",
        "check the image's name, and name the Secret with the login under `imagePullSecrets`",
        "octarinesec/octarine-operator#15",
    ),
)


def find(log: Iterable[str], events: Iterable[str]) -> Match | None:
    """The first signature that one of the lines holds; of its lines the last, which is the freshest."""
    lines = {Place.LOG: list(log), Place.EVENT: list(events)}
    for signature in SIGNATURES:
        for line in reversed(lines[signature.place]):
            if signature.pattern.search(line.lower()):
                return Match(signature, line)
    return None
