"""A real llama.cpp server for the tests: the program and the weights of the sandbox's image, on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from wtsctl.sandbox.images import payload
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 60.0
ALIAS = "smollm2-135m"
_SERVING = re.compile(r"llama-server: serving \S+ at (http://\S+)\n")


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """A running server: its base URL without a path, its served model name, its process id and its log."""

    url: str
    alias: str
    pid: int
    log: Path


def on_this_python(files: payload.Payload, *flags: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that run the image's server without the image."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(files.site),
        "LLAMA_ARG_MODEL": str(files.model),
        "LLAMA_ARG_CACHE_RAM": "0",
    }
    return [sys.executable, str(files.server), "--port", "0", "--alias", ALIAS, *flags], environment


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[LlamaCpp]:
    """Start a server on a port that the kernel picks, wait until it is healthy, and end it by its pid."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            yield LlamaCpp(_wait(child, log), ALIAS, child.pid, log)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _wait(child: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        # The server writes its address once the model is loaded, since the kernel chose the port. llama.cpp logs from
        # a thread of its own, whose half-written line can stand before it.
        if said := _SERVING.search(log.read_text(errors="replace")):
            url = said[1]
            assert httpx.get(f"{url}/health").json() == {"status": "ok"}
            return url
        time.sleep(0.05)
    pytest.fail(f"llama.cpp's server did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def llamacpp_payload() -> payload.Payload:
    """The server and the weights that the sandbox's image holds, downloaded once into the sandbox's own cache."""

    def progress(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    return payload.ensure(Layout.of().cache, progress)


@pytest.fixture(scope="session")
def llamacpp_server(llamacpp_payload: payload.Payload, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    """A llama.cpp server with SmolLM2-135M under the name `smollm2-135m`, started once per run."""
    log = tmp_path_factory.mktemp("llamacpp") / "server.log"
    command, environment = on_this_python(llamacpp_payload, "--parallel", "2", "--ctx-size", "4096", "--metrics")
    with serving(command, environment, log) as server:
        yield server
