"""The least that speaks to an API server: connections of the standard library, one a thread.

Run as a program it applies objects and does nothing else:

    KUBECONFIG=FILE python benchmarks/api.py THREADS OBJECTS

OBJECTS has one object a line, `PATH<TAB>JSON`; the first, their namespace, is applied before the others.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import queue
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Service": "/api/v1/namespaces/%s/services",
    "Deployment": "/apis/apps/v1/namespaces/%s/deployments",
}
_APPLY = "?fieldManager=raw&fieldValidation=Strict"


class Server:
    """An API server, as a kubeconfig with a client certificate names it."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.load(kubeconfig.read_text(), Loader=yaml.CSafeLoader)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self.url = str(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            for key in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[key]))
            pair.flush()
            self._tls.load_cert_chain(pair.name)

    def connection(self) -> http.client.HTTPSConnection:
        """A connection of its own."""
        at = urlsplit(self.url)
        return http.client.HTTPSConnection(at.hostname or "", at.port, context=self._tls, timeout=60)

    def get(self, path: str) -> Any:
        """One object or list."""
        connection = self.connection()
        connection.request("GET", path)
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer)


def path_of(item: dict[str, Any]) -> str:
    """The path of one of the kinds of the benchmarks."""
    path = _PATHS[item["kind"]]
    return f"{path % item['metadata']['namespace'] if '%' in path else path}/{item['metadata']['name']}"


def apply(server: Server, objects: Iterable[tuple[str, bytes]], threads: int, query: str = _APPLY) -> None:
    """Apply objects on the server's side, each thread with a connection of its own.

    Args:
        server: the cluster.
        objects: path and JSON of each.
        threads: how many.
        query: what follows the path.
    """
    todo: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    for one in objects:
        todo.put(one)
    refused: list[str] = []

    def work() -> None:
        connection = server.connection()
        while not refused:
            try:
                path, body = todo.get_nowait()
            except queue.Empty:
                break
            headers = {"Content-Type": "application/apply-patch+yaml"}
            connection.request("PATCH", path + query, body=body, headers=headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status not in {200, 201}:
                refused.append(f"{path}: {response.status} {answer.decode(errors='replace')[:400]}")
        connection.close()

    working = [threading.Thread(target=work) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    if refused:
        sys.exit(refused[0])


def main() -> None:
    """Apply the objects of a file."""
    server = Server(Path(os.environ["KUBECONFIG"]))
    lines = (line.split(b"\t", 1) for line in Path(sys.argv[2]).read_bytes().splitlines())
    first, *others = [(path.decode(), body) for path, body in lines]
    apply(server, [first], 1)
    apply(server, others, int(sys.argv[1]))


if __name__ == "__main__":
    main()
