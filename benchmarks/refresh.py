"""What `status` and the wait of a deploy take where a catalog has a thousand pods on a thousand nodes.

kwok plays the nodes and their kubelets: a pod that is bound to one of its nodes is said to run and to be ready. The
scheduler, the controllers and the API server are real. kwok's pods listen to nothing; their addresses are in a range
that leads to the loopback device of the run's network namespace, where one server answers for all of them, so that
the API server's service proxy, /v1/models and the one token of the wait are real requests too.
"""

from __future__ import annotations

import json
import math
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import IO, Any

import api
import catalogs
from measure import spread, taken

# Replicas of each model; a refresh has to look at all pods, and at each model once.
_REPLICAS = 10
# The addresses of pods: see control_plane.own_network.
_PODS = "10.64.0.1/10"
# The port of the vllm template.
_PORT = 8000
_CHANGES, _STATUS_RUNS, _IDLE_SECONDS = 20, 5, 10
_WAIT_SECONDS = 300
_START_SECONDS = 3.0
# Each node renews its lease four times in this time. With 40 s, as kubelets have it, that were 100 writes a second;
# with much more, a busy machine is late, and the node's pods are said to be not ready.
_LEASE_SECONDS = 80
_HELD = "granite-0"
_WATCHED = "granite-1"


class _Models(BaseHTTPRequestHandler):
    """One server for every model: the API server's proxy says in a header for which Service it asks."""

    protocol_version = "HTTP/1.1"
    held = True

    def do_GET(self) -> None:
        """List the model."""
        found = re.search(r"/services/([^:/]+)", self.headers.get("X-Forwarded-Uri", ""))
        name = found[1] if found else ""
        if name == _HELD and type(self).held:
            self._answer(503, {"error": {"message": "loading"}})
        else:
            self._answer(200, {"object": "list", "data": [{"id": name, "object": "model"}]})

    def do_POST(self) -> None:
        """Answer one token."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(200, {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _node(number: int) -> dict[str, object]:
    name = f"kwok-{number}"
    room = {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "8"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "type": "kwok"}},
        "status": {"allocatable": room, "capacity": room},
    }


def _applied(items: Sequence[dict[str, object]]) -> list[tuple[str, bytes]]:
    return [(api.path_of(item), json.dumps(item).encode()) for item in items]


def _lines(stream: IO[str]) -> queue.SimpleQueue[tuple[float, str]]:
    """Each line of a stream with the time at which it came."""
    found: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()

    def read() -> None:
        for line in stream:
            found.put((time.perf_counter(), line))
        found.put((math.inf, ""))

    threading.Thread(target=read, daemon=True).start()
    return found


def _seen(lines: queue.SimpleQueue[tuple[float, str]], pattern: str, within: float = _WAIT_SECONDS) -> float:
    """When the next line came that has a pattern."""
    end = time.perf_counter() + within
    last = ""
    while True:
        try:
            at, last = lines.get(timeout=max(0.0, end - time.perf_counter()))
        except queue.Empty:
            sys.exit(f"no line with {pattern!r} came in {within:g} s; the last one was {last!r}")
        if math.isinf(at):
            sys.exit(f"the program ended, and no line with {pattern!r} had come")
        if re.search(pattern, last):
            return at


def _processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pid: int) -> float:
    found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _turn(server: api.Server, pod: Mapping[str, Any], started: bool) -> None:
    """Say of a pod that its server has started, or has not, as a kubelet does."""
    # The list is replaced as a whole.
    statuses = [{**one, "started": started, "ready": started} for one in pod["status"]["containerStatuses"]]
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    connection = server.connection()
    connection.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/pods/{name}/status",
        body=json.dumps({"status": {"containerStatuses": statuses}}),
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status != HTTPStatus.OK:
        sys.exit(f"{name}: {answer.decode()[:400]}")


def refresh(folder: Path, wtsctl: str, kwok: Sequence[str], pods: int, place: Mapping[str, str]) -> None:
    """Start kwok, deploy, and measure; prints what came of it.

    Args:
        folder: for the run's files.
        wtsctl: the program that is measured.
        kwok: program and arguments.
        pods: how many, on as many nodes.
        place: the environment; its KUBECONFIG leads to the control plane.
    """
    server = api.Server(Path(place["KUBECONFIG"]))
    api.apply(server, _applied([_node(number) for number in range(pods)]), 8, "?fieldManager=benchmark&force=true")
    answering = _Server(("0.0.0.0", _PORT), _Models)  # noqa: S104 - in a network namespace without a way out
    threading.Thread(target=answering.serve_forever, daemon=True).start()
    log = (folder / "kwok.log").open("w")
    play = [*kwok, "--kubeconfig", place["KUBECONFIG"], "--manage-all-nodes=true", "--cidr", _PODS]
    play += [f"--node-lease-duration-seconds={_LEASE_SECONDS}"]
    with log, subprocess.Popen(play, env=dict(place), stdout=log, stderr=subprocess.STDOUT) as playing:
        try:
            time.sleep(_START_SECONDS)
            if playing.poll() is not None:
                sys.exit(f"kwok does not run: {Path(log.name).read_text()[-1000:]}")
            _measured(folder, wtsctl, pods, place, server)
        finally:
            playing.terminate()
            answering.shutdown()


def _measured(folder: Path, wtsctl: str, pods: int, place: Mapping[str, str], server: api.Server) -> None:
    namespace, count = "thousand", pods // _REPLICAS
    catalog = folder / "thousand.yaml"
    catalog.write_text(catalogs.bare(catalogs.models(count), namespace, _REPLICAS))
    deploy = [wtsctl, "deploy", "-f", str(catalog), "--yes", "--timeout", f"{2 * _WAIT_SECONDS}s"]
    waiting = subprocess.Popen(
        deploy, env=dict(place), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        if waiting.stderr is None:
            raise RuntimeError
        start, lines = time.perf_counter(), _lines(waiting.stderr)
        for _ in range(count - 1):
            all_ready = _seen(lines, r": ready", start + _WAIT_SECONDS - time.perf_counter())
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app.kubernetes.io/instance={_WATCHED}"
        pod = server.get(path)["items"][0]
        latencies = []
        for number in range(_CHANGES):
            ready = bool(number % 2)
            time.sleep(0.5)
            _turn(server, pod, ready)
            sent = time.perf_counter()
            latencies.append(_seen(lines, rf"\b{_WATCHED}: " + ("ready" if ready else "(?!ready)"), 30) - sent)
        used, idle = _processor(waiting.pid), time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        share = (_processor(waiting.pid) - used) / (time.perf_counter() - idle)
        memory, total = _peak(waiting.pid), _processor(waiting.pid)
        _Models.held = False
        waiting.wait()
    finally:
        waiting.kill()
        waiting.wait()
    if waiting.returncode:
        sys.exit(f"the deploy ended with {waiting.returncode}")
    runs = [taken([wtsctl, "status", "-f", str(catalog)], place) for _ in range(_STATUS_RUNS)]
    print(f"\n{pods} nodes and {pods} pods of {count} models, played by kwok")
    print(f"the wait of `wtsctl deploy`: {memory:.0f} MB at most; {total:.1f} s of processor time in all,")
    print(f"  the other models ready {all_ready - start:.0f} s after the start of the deploy")
    print(f"  from a pod's change to the line that shows it: {spread(latencies)} s, {len(latencies)} changes")
    print(f"  a refresh with nothing new, one each second: {share:.2f} s of processor time")
    print(f"`wtsctl status`: {spread([one.wall for one in runs])} s, whole process, {len(runs)} runs;")
    print(
        f"  {median(one.cpu for one in runs):.2f} s of processor time, {max(one.memory for one in runs):.0f} MB at most"
    )
