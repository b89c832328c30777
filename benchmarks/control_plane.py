"""A control plane of the run's own, in a network namespace of its own, and a proxy that counts requests to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import api

_INSIDE = "WTSCTL_BENCHMARK_NETWORK"
# What kwok gives to pods, and what the sandbox's controller manager gives to the first node.
_PODS = ("10.64.0.0/10", "10.244.0.0/24")


def own_network() -> None:
    """Go on in a network namespace that has nothing but a loopback device: nobody else's ports, and no way out.

    The addresses of pods lead to the loopback device too, for whoever plays pods.
    """
    if _INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for pods in _PODS:
            subprocess.run(["ip", "route", "add", "local", pods, "dev", "lo"], check=True)
        return
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None:
        sys.exit("this needs the programs unshare (util-linux) and ip (iproute2)")
    how = ["--net"] if os.geteuid() == 0 else ["--net", "--map-root-user"]
    sys.stdout.flush()
    os.execve(unshare, [unshare, *how, sys.executable, *sys.argv], {**os.environ, _INSIDE: "1"})  # noqa: S606


@contextlib.contextmanager
def control_plane(wtsctl: str, state: Path) -> Iterator[Path]:
    """A sandbox without a node, its state in a folder of its own; gives its kubeconfig."""
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    environment.pop("KUBECONFIG", None)
    subprocess.run([wtsctl, "sandbox", "up", "--no-node", "-q"], check=True, env=environment, stdout=sys.stderr)
    try:
        yield state / "wtsctl/sandbox/wtsctl/kubeconfig"
    finally:
        purge = [wtsctl, "sandbox", "down", "--purge", "--keep-cache", "-q"]
        subprocess.run(purge, check=True, env=environment, stdout=sys.stderr)


class Counting:
    """A proxy on the loopback device that passes requests on and counts them.

    Attributes:
        kubeconfig: leads to it; whoever uses it has all rights.
        requests: how many of each method and path, without the query.
    """

    def __init__(self, server: api.Server, kubeconfig: Path) -> None:
        self.requests: Counter[str] = Counter()
        counted, connections, lock = self.requests, threading.local(), threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                with lock:
                    counted[f"{self.command} {self.path.partition('?')[0]}"] += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not hasattr(connections, "upstream"):
                    connections.upstream = server.connection()
                upstream = connections.upstream
                passed = {key: self.headers[key] for key in ("Accept", "Content-Type") if key in self.headers}
                upstream.request(self.command, self.path, body=body or None, headers=passed)
                response = upstream.getresponse()
                answer = response.read()
                self.send_response(response.status)
                for key in ("Content-Type", "Warning", "Retry-After"):
                    if response.getheader(key):
                        self.send_header(key, str(response.getheader(key)))
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.kubeconfig = kubeconfig
        address = f"http://127.0.0.1:{self._server.server_port}"
        kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
            f"clusters: [{{name: x, cluster: {{server: '{address}'}}}}]\n"
            "users: [{name: x, user: {}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n"
        )

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
