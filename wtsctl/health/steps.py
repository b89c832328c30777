"""What a server of models is doing while it starts, from the lines that it logs.

The lines are those of vLLM 0.33 (vllm/model_executor/model_loader/weight_utils.py, vllm/v1/worker/gpu_model_runner.py,
vllm/v1/core/kv_cache_utils.py, vllm/compilation/backends.py, vllm/entrypoints/openai/api_server.py) and of llama.cpp's
server (src/llama-model.cpp, common/common.cpp, tools/server/server.cpp).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What a server is doing.

    Attributes:
        what: in a few words, the same for as long as it does that.
        detail: how far it is, such as `12 of 30 files`; empty where the log does not say.
    """

    what: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what}, {self.detail}" if self.detail else self.what


_LOADS, _PREPARES = "loads the weights", "prepares the engine"
_STEPS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"checkpoint shards: +\d+% Completed \| (\d+)/(\d+)"), _LOADS, "{} of {} files"),
    (re.compile(r"Starting to load model "), _LOADS, ""),
    (re.compile(r"Model loading took ([\d.]+ GiB)"), _PREPARES, "{} of weights loaded"),
    (re.compile(r"Dynamo bytecode transform time|Compiling a graph for"), "compiles the model", ""),
    (re.compile(r"GPU KV cache size: ([\d,]+) tokens"), _PREPARES, "KV cache of {} tokens"),
    (re.compile(r"Capturing CUDA graphs"), "captures CUDA graphs", ""),
    (re.compile(r"Graph capturing finished"), _PREPARES, "CUDA graphs captured"),
    (re.compile(r"Starting vLLM (?:API )?server|Application startup complete"), "starts its HTTP server", ""),
    (re.compile(r"load_tensors: loading model tensors|load_model: loading model"), _LOADS, ""),
    (re.compile(r"warming up the model"), "warms up", ""),
    (re.compile(r"(?:main|srv +\w+): model loaded|server is listening on"), "starts its HTTP server", ""),
)


def step(line: str) -> Step | None:
    """What one line of a server's log says that it does now; None where it says nothing about that.

    A progress bar writes over itself with carriage returns, so the last part of a line counts.
    """
    text = line.rstrip().rpartition("\r")[2]
    for pattern, what, detail in _STEPS:
        found = pattern.search(text)
        if found:
            return Step(what, detail.format(*found.groups()))
    return None
