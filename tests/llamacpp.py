"""A real llama.cpp server for the tests: the program and the weights of the sandbox's image, on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from wtsctl.sandbox.images import payload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """A running server: its base URL without a path, its served model name, its process id and its log."""

    url: str
    alias: str
    pid: int
    log: Path


def cache_dir() -> Path:
    """The cache that wtsctl itself uses, so that nothing is downloaded twice."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wtsctl"


@contextmanager
def serving(
    files: payload.Payload, log: Path, flags: Sequence[str], env: dict[str, str]
) -> Iterator[LlamaCpp]:
    """Start server.py on a port that the kernel picks, wait until it is healthy, and end it by its pid."""
    command = [sys.executable, str(files.server), "--port", "0", "--alias", "smollm2-135m", *flags]
    variables = {
        **os.environ,
        "PYTHONPATH": str(files.site),
        "LLAMA_ARG_MODEL": str(files.model),
        "LLAMA_ARG_CACHE_RAM": "0",
        **env,
    }
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables
        )
        try:
            url = _wait(child, log)
            yield LlamaCpp(url, "smollm2-135m", child.pid, log)
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
        # The server writes its address once the model is loaded, since the kernel chose the port.
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("llama-server: serving "):
                url = line.rpartition(" ")[2]
                assert httpx.get(f"{url}/health").json() == {"status": "ok"}
                return url
        time.sleep(0.05)
    pytest.fail(f"llama.cpp's server did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def llamacpp_payload() -> payload.Payload:
    """The server and the weights that the sandbox's image holds, downloaded once into wtsctl's cache."""

    def progress(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    return payload.ensure(cache_dir(), progress)


@pytest.fixture(scope="session")
def llamacpp_server(
    llamacpp_payload: payload.Payload, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaCpp]:
    """A llama.cpp server with SmolLM2-135M under the name `smollm2-135m`, started once per run."""
    log = tmp_path_factory.mktemp("llamacpp") / "server.log"
    flags = ["--parallel", "2", "--ctx-size", "4096", "--metrics"]
    with serving(llamacpp_payload, log, flags, {}) as server:
        yield server
