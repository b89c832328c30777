"""What is looked up about a model that does not start: its events and log, and whether nodes may still come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from wtsctl.cluster.autoscaler import autoscaler
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import EVENT, POD
from wtsctl.cluster.observe import evidence, look
from wtsctl.cluster.watch import Follower, Selection
from wtsctl.health.scheduling import Autoscaler

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

POD_LOG = "/api/v1/namespaces/llm/pods/a/log"
EVENTS = "/api/v1/namespaces/llm/events"
NOTHING: dict[str, Any] = {"metadata": {"resourceVersion": "1"}, "items": []}
KV_CACHE = (
    "ValueError: To serve at least one request with the model's max seq len (100000), (4.26 GiB KV cache is needed, "
    "which is larger than the available KV cache memory (4.25 GiB)."
)


@pytest.fixture
def client(httpserver: HTTPServer, tmp_path: Path) -> Client:
    """A client of the test's server, which waits for nothing."""
    config = {
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return Client(connect(path), sleep=lambda _: None)


def status(code: int, reason: str) -> dict[str, Any]:
    """A Status object."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": "no", "code": code}


def test_the_line_that_says_it_is_shown(client: Client, httpserver: HTTPServer) -> None:
    """Of a long traceback the known line is found and shown, with the last lines; not more than those."""
    traceback = [f"  File core.py, line {number}" for number in range(50)]
    httpserver.expect_request(EVENTS).respond_with_json(NOTHING)
    httpserver.expect_request(POD_LOG).respond_with_data("\n".join([KV_CACHE, *traceback]))
    found = evidence(client, "llm", "a", "server", ran=True)
    assert found.match is not None
    assert found.match.signature.name == "kv-cache"
    assert found.log[0] == KV_CACHE
    assert found.log[-1] == traceback[-1]
    assert len(found.log) == 8


def test_an_event_says_it(client: Client, httpserver: HTTPServer) -> None:
    """A known line among the pod's events counts too, where there is no log."""
    item = {"reason": "FailedAttachVolume", "message": 'Multi-Attach error for volume "pvc-1" Volume is already used'}
    httpserver.expect_request(EVENTS).respond_with_json({"metadata": {}, "items": [item]})
    found = evidence(client, "llm", "a", "", ran=False)
    assert found.match is not None
    assert found.match.signature.name == "multi-attach"
    assert found.log == ()


@pytest.mark.parametrize(
    ("groups", "codes", "expected"),
    [
        ([], (404, 404), Autoscaler.NONE),
        ([], (200, 404), Autoscaler.THERE),
        ([], (403, 200), Autoscaler.THERE),
        ([], (403, 404), Autoscaler.UNKNOWN),
        ([("karpenter.sh", "v1", "NodePool")], (404, 404), Autoscaler.THERE),
    ],
)
def test_whether_nodes_may_come(
    client: Client,
    httpserver: HTTPServer,
    groups: list[tuple[str, str, str]],
    codes: tuple[int, int],
    expected: Autoscaler,
) -> None:
    """Karpenter is known by its kind, cluster-autoscaler by its status; where that may not be seen nothing is known."""
    items = [
        {
            "metadata": {"name": group},
            "versions": [
                {
                    "version": version,
                    "resources": [
                        {"resource": "nodepools", "responseKind": {"kind": kind}, "scope": "Cluster", "verbs": ["list"]}
                    ],
                }
            ],
        }
        for group, version, kind in groups
    ]
    httpserver.expect_request("/apis").respond_with_json({"kind": "APIGroupDiscoveryList", "items": items})
    for namespace, code in zip(("kube-system", "openshift-machine-api"), codes, strict=True):
        path = f"/api/v1/namespaces/{namespace}/configmaps/cluster-autoscaler-status"
        answer = {"kind": "ConfigMap", "metadata": {}} if code == 200 else status(code, "Refused")
        httpserver.expect_request(path).respond_with_json(answer, status=code)
    assert autoscaler(client) is expected


def test_events_that_may_not_be_seen_are_gone_without(client: Client, httpserver: HTTPServer) -> None:
    """Who may not watch events still waits, and status still looks, with what the pods say."""
    selections = [Selection(POD, "llm"), Selection(EVENT, "llm", dispensable=True)]
    httpserver.expect_request("/api/v1/namespaces/llm/pods").respond_with_json(NOTHING)
    httpserver.expect_request(EVENTS).respond_with_json(status(403, "Forbidden"), status=403)
    assert look(client, selections) == []
    with Follower(client, selections) as follower:
        for _ in range(50):
            if follower.objects() is not None:
                break
            follower.wait(0.1)
        assert follower.objects() == []
