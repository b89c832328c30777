"""A namespace, a catalog and a client for each test, on the sandbox's API server."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.cluster.every_option import Server
from tests.command import Wtsctl
from tests.sandboxes import Cluster
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import NAMESPACE
from wtsctl.cluster.faults import ApiRefused

MakeCatalog = Callable[..., Wtsctl]


@pytest.fixture
def client(control_plane: Path) -> Client:
    """A client with all rights."""
    return Client(connect(control_plane))


@pytest.fixture
def server(every_kind: Cluster) -> Server:
    """The API server that knows every kind."""
    return Server(every_kind)


@pytest.fixture
def space(client: Client) -> Iterator[str]:
    """The name of a namespace that is not there yet, and is gone after the test."""
    name = f"test-{uuid4().hex[:10]}"
    yield name
    with contextlib.suppress(ApiRefused):
        objects.delete(client, NAMESPACE, "", name)


@pytest.fixture
def catalog(control_plane: Path, space: str, tmp_path: Path) -> MakeCatalog:
    """Makes catalogs in `space`; their models have no pods unless asked for, so that no node is needed."""

    def make(*models: str, kubeconfig: Path | None = None, more: str = "", **fields: Any) -> Wtsctl:
        file = tmp_path / f"models-{uuid4().hex[:6]}.yaml"
        entries = "".join(entry(name, fields) for name in models or ("first", "second"))
        head = f"apiVersion: wtsctl/v1\nname: {space}\ndefaults:\n  namespace: {space}\n"
        head += "  images: {llamacpp: 'x:1', vllm: 'x:1'}\n"
        if "platform:" not in more:
            # A Deployment and a Service for each model, and nothing else.
            head += "platform: {podDisruptionBudgets: off}\n"
        file.write_text(f"{head}{more}models:\n{entries}")
        return Wtsctl(file, kubeconfig or control_plane)

    return make


@dataclass
class Forwarder:
    """A proxy in front of the real API server.

    Attributes:
        kubeconfig: leads to the proxy, which has the rights.
        asked: the paths that were asked for.
        patch_seconds: how long each PATCH is held up before it is passed on.
        passing: PATCHes of everything but Leases wait until it is set, as it is at first.
    """

    kubeconfig: Path
    asked: list[str] = field(default_factory=list)
    patch_seconds: float = 0.0
    passing: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def forwarder(control_plane: Path, tmp_path: Path) -> Iterator[Forwarder]:
    """Passes on every request but watches, several at once, and writes down what was asked for."""
    from kubernetes.client.rest import RESTClientObject

    connection = connect(control_plane)
    pool: Any = RESTClientObject(connection.configuration).pool_manager
    forwarder = Forwarder(tmp_path / "forwarder.kubeconfig")
    forwarder.passing.set()

    def forward(request: Request) -> Response:
        forwarder.asked.append(request.path)
        if request.method == "PATCH" and "/leases/" not in request.path:
            time.sleep(forwarder.patch_seconds)
            forwarder.passing.wait(60)
        url = connection.host + request.full_path
        headers = {"Accept": request.headers["Accept"], **connection.authorization()}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        answer = pool.request(request.method, url, body=request.data or None, headers=headers)
        return Response(answer.data, answer.status, content_type=answer.headers.get("Content-Type"))

    httpserver = HTTPServer(threaded=True)
    httpserver.expect_request(re.compile(".*")).respond_with_handler(forward)
    httpserver.start()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    forwarder.kubeconfig.write_text(yaml.safe_dump(document))
    yield forwarder
    httpserver.stop()
    pool.clear()


def entry(name: str, fields: dict[str, Any]) -> str:
    """One model of a catalog, `fields` laid over what it has by default."""
    defaults: dict[str, Any] = {
        "runtime": "llamacpp",
        "model": "/weights/model.gguf",
        "role": "chat",
        "maxModelLen": 512,
        "replicas": 0,
        "resources": "{requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 1, memory: 64Mi}}",
    }
    return f"- name: {name}\n" + "".join(f"  {key}: {value}\n" for key, value in (defaults | fields).items())


def namespace(client: Client, name: str, **metadata: Any) -> None:
    """Make a namespace as someone else would."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}
    client.exchange("POST", "/api/v1/namespaces", body=document)


def quota(client: Client, name: str, hard: dict[str, str]) -> None:
    """Limit what a namespace may hold, as its owner would."""
    metadata = {"name": "limits", "namespace": name}
    document = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}
    client.exchange("POST", f"/api/v1/namespaces/{name}/resourcequotas", body=document)
