"""What a server does while it starts, from lines that vLLM and llama.cpp wrote."""

from __future__ import annotations

import pytest

from wtsctl.health.steps import Step, step

VLLM = "(EngineCore_DP0 pid=164) INFO 01-23 15:48:47 "
LINES = {
    VLLM + "[gpu_model_runner.py:2634] Starting to load model /models/mistral-7b...": "loads the weights",
    "Loading safetensors checkpoint shards:   0% Completed | 0/5 [00:00<?, ?it/s]": "loads the weights, 0 of 5 files",
    "Loading pt checkpoint shards:  20% Completed | 1/5 [00:00<00:00]": "loads the weights, 1 of 5 files",
    VLLM + "[gpu_model_runner.py:3480] Model loading took 55.22 GiB memory and 20.3 seconds": (
        "prepares the engine, 55.22 GiB of weights loaded"
    ),
    VLLM + "[backends.py:559] Dynamo bytecode transform time: 4.44 s": "compiles the model",
    VLLM + "[kv_cache_utils.py:1087] GPU KV cache size: 49,152 tokens": (
        "prepares the engine, KV cache of 49,152 tokens"
    ),
    "Capturing CUDA graphs (decode, FULL):  50%|####  | 1/2\rCapturing CUDA graphs (decode, FULL): 100%|####| 2/2": (
        "captures CUDA graphs"
    ),
    VLLM + "[gpu_model_runner.py:3480] Graph capturing finished in 8 secs, took 0.31 GiB": (
        "prepares the engine, CUDA graphs captured"
    ),
    "INFO 10-06 12:00:41 [api_server.py:1971] Starting vLLM API server 0 on http://0.0.0.0:8000": (
        "starts its HTTP server"
    ),
    "load_tensors: loading model tensors, this can take a while... (mmap = true)": "loads the weights",
    "common_init_from_params: warming up the model with an empty run - please wait": "warms up",
    "main: server is listening on http://0.0.0.0:8080 - starting the main loop": "starts its HTTP server",
}


@pytest.mark.parametrize("line", LINES)
def test_lines_of_servers(line: str) -> None:
    """Each line that tells how far a start is, is understood."""
    assert str(step(line)) == LINES[line]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Loading safetensors checkpoint shards",
        VLLM + "[loader.py:1] Loading weights took 19.47 seconds",
        "GET /v1/models 200 OK",
        "a prompt that says Capturing the flag",
        "server was listening on nothing",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    """A line about something else changes nothing of what is known."""
    assert step(line) is None


def test_the_words_stay_while_the_detail_moves() -> None:
    """Whoever writes a line only where something new begins can tell by the words."""
    bar = "Loading safetensors checkpoint shards:  20% Completed | {}/5 [00:00<00:00,  4.21it/s]"
    assert [step(bar.format(n)) for n in (1, 2)] == [
        Step("loads the weights", "1 of 5 files"),
        Step("loads the weights", "2 of 5 files"),
    ]
