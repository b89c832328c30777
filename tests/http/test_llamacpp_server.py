"""The server of the sandbox's image, as its manifests start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.llamacpp import LlamaCpp, on_this_python, serving

if TYPE_CHECKING:
    from pathlib import Path

    from wtsctl.sandbox.images.payload import Payload

PROMPT = {"role": "user", "content": "Say hello."}


def refused(payload: Payload, *flags: str) -> subprocess.CompletedProcess[str]:
    """Start the server with flags that it should refuse, and return what it said."""
    return subprocess.run(
        [sys.executable, str(payload.server), *flags],
        env={**os.environ, "PYTHONPATH": str(payload.site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_lists_the_alias(llamacpp_server: LlamaCpp) -> None:
    """/v1/models answers with the served model name that --alias gave."""
    models = httpx.get(f"{llamacpp_server.url}/v1/models").json()["data"]
    assert [model["id"] for model in models] == [llamacpp_server.alias]


def test_chats(llamacpp_server: LlamaCpp) -> None:
    """A chat prompt is answered by the model, with the number of tokens it made."""
    body = {"messages": [PROMPT], "max_tokens": 8}
    answer = httpx.post(f"{llamacpp_server.url}/v1/chat/completions", json=body, timeout=60).json()
    assert answer["choices"][0]["message"]["content"].strip()
    assert 1 <= answer["usage"]["completion_tokens"] <= 8


def test_streams_token_by_token(llamacpp_server: LlamaCpp) -> None:
    """A streamed chat comes as several server-sent events and ends with [DONE]."""
    body = {"messages": [PROMPT], "max_tokens": 8, "stream": True}
    with httpx.stream("POST", f"{llamacpp_server.url}/v1/chat/completions", json=body, timeout=60) as answer:
        events = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert len(events) > 3
    assert events[-1] == "data: [DONE]"


def test_serves_metrics(llamacpp_server: LlamaCpp) -> None:
    """--metrics opens /metrics with llama.cpp's own counters."""
    metrics = httpx.get(f"{llamacpp_server.url}/metrics").text
    assert "llamacpp:tokens_predicted_total" in metrics


def test_embeds_and_asks_for_the_key(llamacpp_payload: Payload, tmp_path: Path) -> None:
    """--embedding gives one vector of SmolLM2's width, and LLAMA_API_KEY refuses callers without it."""
    log = tmp_path / "log"
    command, environment = on_this_python(llamacpp_payload, "--embedding")
    with serving(command, {**environment, "LLAMA_API_KEY": "k-17"}, log) as server:
        url, body = f"{server.url}/v1/embeddings", {"input": "hello"}
        without = httpx.post(url, json=body)
        answer = httpx.post(url, json=body, headers={"Authorization": "Bearer k-17"}, timeout=60)
    assert without.status_code == 401
    assert len(answer.json()["data"][0]["embedding"]) == 576
    assert "k-17" not in log.read_text()


def test_sigterm_ends_it_with_a_stream_open(llamacpp_payload: Payload, tmp_path: Path) -> None:
    """SIGTERM ends the server within a second and with code 0, even while it is generating."""
    log = tmp_path / "log"
    with serving(*on_this_python(llamacpp_payload), log) as server:
        body = {"messages": [PROMPT], "max_tokens": 4000, "stream": True, "ignore_eos": True}
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as answer:
            assert next(answer.iter_lines()).startswith("data: ")
            began = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            _, status = os.waitpid(server.pid, 0)
            took = time.monotonic() - began
    assert os.waitstatus_to_exitcode(status) == 0
    assert took < 1
    assert "llama-server: stopping\n" in log.read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modle", "x"], "unrecognized arguments: --modle x"),
        (["--port", "99999"], "argument --port: invalid port value: '99999'"),
        (["--ctx-size", "two"], "argument -c/--ctx-size: invalid positive value: 'two'"),
        (["--parallel", "0"], "argument -np/--parallel: invalid positive value: '0'"),
        ([], "no model: give --model or set LLAMA_ARG_MODEL"),
        (["--model", "/nowhere.gguf"], "--model: no such file: /nowhere.gguf"),
    ],
)
def test_bad_flags_are_one_line(llamacpp_payload: Payload, flags: list[str], message: str) -> None:
    """A flag that cannot be read ends the server with code 2 and one line that names it."""
    ended = refused(llamacpp_payload, *flags)
    assert (ended.returncode, ended.stderr) == (2, f"llama-server: error: {message}\n")


def test_a_damaged_model_is_named(llamacpp_payload: Payload, tmp_path: Path) -> None:
    """A file that is no GGUF ends the server with code 1 and one line of ours that names the file."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(1000))
    ended = refused(llamacpp_payload, "--model", str(broken), "--port", "0")
    assert ended.returncode == 1
    assert f"llama-server: error: cannot serve {broken} on 127.0.0.1:0; " in ended.stderr


def test_a_port_in_use_is_named(llamacpp_payload: Payload, llamacpp_server: LlamaCpp) -> None:
    """A port that another server has ends the server with code 1 and one line of ours that names the port."""
    port = llamacpp_server.url.rpartition(":")[2]
    ended = refused(llamacpp_payload, "--model", str(llamacpp_payload.model), "--port", port)
    assert ended.returncode == 1
    assert f"llama-server: error: cannot serve {llamacpp_payload.model} on 127.0.0.1:{port}; " in ended.stderr
