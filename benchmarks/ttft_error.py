"""How far a client's TTFT is from the server's own: ours, httpx async with `aiter_lines`, and a bare socket.

A server in a process of its own puts into its first token when it had read the request and when it wrote that token
(CLOCK_MONOTONIC, one clock for all processes of a machine). The error of a client is its TTFT minus the server's:
sending, loopback, reading and stamping. The clients take turns, request by request, so that they meet the same
machine.

Usage: python benchmarks/ttft_error.py [--requests 300]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import httpx

from wtsctl.catalog.smoke import Prompt
from wtsctl.latency.statistics import nearest_rank
from wtsctl.probe.chat import ask, chat_request
from wtsctl.probe.session import Session
from wtsctl.probe.target import Timeouts, direct

# Long enough that the server sleeps, as one does that waits for a model; the role comes at once.
FIRST_TOKEN_SECONDS = 0.02
WARM_UP = 5
PROMPT = Prompt.model_validate({"name": "p", "prompt": "Hello?", "assert": [{"minTokens": 1}]})

TOKEN = re.compile(rb'"content": "([^"]+)"')

# The client's TTFT in seconds, and the text of the answer, which holds the server's stamps.
Measured = tuple[float, str]


def serve() -> None:
    """Answer requests one after another until the parent closes our standard input."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # One process for each connection: threads of one would wait for each other's interpreter lock.
        if os.fork() == 0:
            while answer_one(client):
                pass
            os._exit(0)


def answer_one(client: socket.socket) -> bool:
    """Read a request and stream an answer; False once the client is gone."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(65536)
        if not more:
            return False
        head += more
    fields, _, body = head.partition(b"\r\n\r\n")
    length = int(fields.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    received = time.perf_counter_ns()
    write = client.sendall
    write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    write(chunk({"choices": [{"delta": {"role": "assistant", "content": ""}}]}))
    time.sleep(FIRST_TOKEN_SECONDS)
    for _ in range(4):
        # The last thing before the write; making the chunk takes some microseconds, which count as the client's.
        write(chunk({"choices": [{"delta": {"content": f"{received} {time.perf_counter_ns()} "}}]}))
        time.sleep(0.002)
    write(chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + b"0\r\n\r\n")
    return True


def chunk(document: object) -> bytes:
    """A server-sent event as one chunk of a chunked body."""
    data = f"data: {json.dumps(document)}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def ours(port: int) -> Callable[[], Measured]:
    """As smoke-test measures: synchronous, each read stamped, parsed afterwards."""
    session = Session(direct(f"http://127.0.0.1:{port}/v1", Timeouts()))

    def measure() -> Measured:
        sample = ask(session, "m", PROMPT)
        if sample.failure or sample.ttft is None:
            raise SystemExit(f"no answer: {sample.failure}")
        return sample.ttft, sample.answer

    return measure


def asynchronous(port: int) -> Callable[[], Measured]:
    """As many clients measure: httpx's asynchronous client, lines parsed as they come."""
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1")

    async def request() -> Measured:
        ttft, answer = math.nan, ""
        began = time.perf_counter()
        async with client.stream("POST", "/chat/completions", json=chat_request("m", PROMPT)) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    content = json.loads(line[6:])["choices"][0]["delta"].get("content")
                    if content:
                        if not answer:
                            ttft = time.perf_counter() - began
                        answer += content
        return ttft, answer

    return lambda: loop.run_until_complete(request())


def bare_socket(port: int) -> Callable[[], Measured]:
    """The least that Python can do: one send, and a stamp after each receive."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = json.dumps(chat_request("m", PROMPT)).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def measure() -> Measured:
        began = time.perf_counter_ns()
        client.sendall(request)
        received, ttft = b"", math.nan
        while not received.endswith(b"0\r\n\r\n"):
            received += client.recv(65536)
            if math.isnan(ttft) and TOKEN.search(received):
                ttft = (time.perf_counter_ns() - began) / 1e9
        return ttft, "".join(text.decode() for text in TOKEN.findall(received))

    return measure


def error_ms(measured: Measured) -> float:
    """The client's TTFT minus the server's, in milliseconds."""
    ttft, answer = measured
    received, wrote = (int(stamp) for stamp in answer.split()[:2])
    return ttft * 1e3 - (wrote - received) / 1e6


def main() -> None:
    """Run the clients in turns and print their errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="per client")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline() if server.stdout else "")
        clients = {
            "wtsctl (sync, iter_raw)": ours(port),
            "httpx async, aiter_lines": asynchronous(port),
            "bare socket": bare_socket(port),
        }
        errors: dict[str, list[float]] = {name: [] for name in clients}
        for number in range(arguments.requests + WARM_UP):
            for name, measure in clients.items():
                error = error_ms(measure())
                if number >= WARM_UP:
                    errors[name].append(error)
    finally:
        server.terminate()
        server.wait()
    report(errors)


def report(errors: dict[str, list[float]]) -> None:
    """Print the table."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, httpx {httpx.__version__},", end=" ")
    print(f"{os.cpu_count()} cores, load {load}")
    print(f"{'TTFT error in ms':26} {'n':>5} {'p50':>7} {'p90':>7} {'max':>7}")
    for name, values in errors.items():
        ordered = sorted(values)
        shown = (nearest_rank(ordered, 0.5), nearest_rank(ordered, 0.9), ordered[-1])
        print(f"{name:26} {len(values):5} " + " ".join(f"{one:7.3f}" for one in shown))
    first, second, *_ = errors.values()
    paired = [b - a for a, b in zip(first, second, strict=True)]
    less = sum(one > 0 for one in paired)
    print(f"paired: wtsctl's error is smaller in {less} of {len(paired)} pairs, by {statistics.median(paired):.3f} ms")


if __name__ == "__main__":
    main()
