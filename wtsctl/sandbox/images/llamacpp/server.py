"""llama.cpp's own HTTP server, started from the xllamacpp wheel.

The flags and environment variables are those of upstream's `llama-server`, so a manifest written for this
image also works on upstream's `ghcr.io/ggml-org/llama.cpp:server`. This file runs inside the image, which
holds neither wtsctl nor more of Python than Debian's python3-minimal.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import NoReturn

POOLING = ("none", "mean", "cls", "last", "rank")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line: a pod's log is read by its last lines."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line on stderr."""
        fail(message, 2)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the process with one line on stderr."""
    sys.stderr.write(f"llama-server: error: {message}\n")
    raise SystemExit(code)


def positive(text: str) -> int:
    """Read an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def port(text: str) -> int:
    """Read a TCP port; 0 lets the kernel choose."""
    number = int(text)
    if number not in range(65536):
        raise ValueError(text)
    return number


def parser() -> argparse.ArgumentParser:
    """Upstream's flags, the ones that the sandbox's manifests use, with upstream's variables as defaults."""
    env = os.environ.get
    command = OneLineParser(prog="llama-server", description=__doc__, allow_abbrev=False)
    add = command.add_argument
    add("-m", "--model", default=env("LLAMA_ARG_MODEL"), help="GGUF file to serve")
    add("-a", "--alias", default=env("LLAMA_ARG_ALIAS"), help="served model names, separated by commas")
    add("-c", "--ctx-size", type=positive, default=env("LLAMA_ARG_CTX_SIZE", "4096"),
        help="tokens of context, shared by all slots")  # fmt: skip
    add("-np", "--parallel", type=positive, default=env("LLAMA_ARG_N_PARALLEL", "1"), help="slots")
    # Upstream takes every core. The sandbox runs several models on few, and two llama.cpp threads that
    # wait for each other on a busy machine are over fifty times slower than one.
    add("-t", "--threads", type=positive, default=env("LLAMA_ARG_THREADS", "1"), help="compute threads")
    add("--threads-http", type=positive, default=env("LLAMA_ARG_THREADS_HTTP", "4"), help="HTTP threads")
    add("--host", default=env("LLAMA_ARG_HOST", "127.0.0.1"), help="address to listen on")
    add("--port", type=port, default=env("LLAMA_ARG_PORT", "8080"), help="port to listen on")
    add("--embedding", "--embeddings", action="store_true", help="serve /v1/embeddings, and nothing else")
    add("--pooling", choices=POOLING, default=None, help="pooling of embeddings; mean with --embedding")
    add("--metrics", action="store_true", help="serve /metrics")
    add("-cram", "--cache-ram", type=int, default=env("LLAMA_ARG_CACHE_RAM", "8192"),
        help="MiB of prompts kept in memory beside the slots; 0 keeps none")  # fmt: skip
    return command


def keys() -> list[str]:
    """The API keys that callers may use: from the environment only, since argv is readable by others."""
    return [key.strip() for key in os.environ.get("LLAMA_API_KEY", "").split(",") if key.strip()]


def main() -> NoReturn:
    """Serve until SIGTERM or SIGINT, then end with exit code 0."""
    options = parser().parse_args()
    if not options.model:
        fail("no model: give --model or set LLAMA_ARG_MODEL", 2)
    if not os.path.isfile(options.model):  # noqa: PTH113 - pathlib is not in python3-minimal
        fail(f"--model: no such file: {options.model}", 2)
    names = {name.strip() for name in (options.alias or "").split(",") if name.strip()}

    from xllamacpp import CommonParams, Server, llama_pooling_type

    params = CommonParams()
    params.model.path = options.model
    params.model_alias = names
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = options.threads_http
    params.hostnames = [options.host]
    params.port = options.port
    params.endpoint_metrics = options.metrics
    params.cache_ram_mib = options.cache_ram
    params.api_keys = keys()
    params.embedding = options.embedding
    pooling = options.pooling or ("mean" if options.embedding else None)
    if pooling:
        params.pooling_type = getattr(llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling.upper()}")

    # Blocked before the server starts its threads, so that none of them takes the signal; blocked also
    # means kept, where the kernel would drop a signal that process 1 of a container has no handler for.
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        server = Server(params)
    except RuntimeError:
        # The binding only says that it failed. llama.cpp logs the cause from a thread of its own, so those
        # lines can come before or after this one.
        fail(f"cannot serve {options.model} on {options.host}:{options.port}; llama.cpp's log lines say why")
    sys.stderr.write(f"llama-server: serving {options.model} at {server.listening_address}\n")
    sys.stderr.flush()
    signal.sigwait(stop)
    sys.stderr.write("llama-server: stopping\n")
    sys.stderr.flush()
    # Not `del server`: with a stream open its destructor waits for the stream's next ping, up to 30 s, which
    # is a pod's whole grace period. Nothing here needs saving, and the caller's stream ends short either way.
    os._exit(0)


if __name__ == "__main__":
    main()
