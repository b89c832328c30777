"""An API server that says "later", breaks, or is none: what the client makes of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from werkzeug import Request, Response

from tests.command import Wtsctl, environment
from wtsctl.cluster import objects
from wtsctl.cluster.apply import Outcome, apply_all
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import DEPLOYMENT, POD, Discovery
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.observe import Evidence, evidence
from wtsctl.cluster.prepare import Options, Prepared
from wtsctl.cluster.watch import Follower, Selection
from wtsctl.errors import ClusterRefused, ClusterUnauthorized, ClusterUnreachable
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer

VERSION = {"major": "1", "minor": "36"}
JSON = {"Content-Type": "application/json"}
PODS = "/api/v1/namespaces/llm/pods"


@dataclass
class Pauses:
    """Stands in for sleeping, and remembers for how long."""

    taken: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        """Do not wait."""
        self.taken.append(seconds)


@pytest.fixture
def kubeconfig(httpserver: HTTPServer, tmp_path: Path) -> Path:
    """A kubeconfig whose server is the test's own."""
    path = tmp_path / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
        "users": [{"name": "test", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def pauses() -> Pauses:
    """How long the client would have waited."""
    return Pauses()


@pytest.fixture
def client(kubeconfig: Path, pauses: Pauses) -> Client:
    """A client of the test's server that never really sleeps."""
    return Client(connect(kubeconfig), sleep=pauses)


def status(code: int, reason: str, message: str, **details: Any) -> Response:
    """A Status object as the API server answers it."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }
    return Response(json.dumps(body | {"details": details}), code, content_type="application/json")


def test_it_comes_back_when_told(client: Client, httpserver: HTTPServer, pauses: Pauses) -> None:
    """After 429 with Retry-After the request is sent again, not before that time."""
    busy = status(429, "TooManyRequests", "too many requests")
    busy.headers["Retry-After"] = "3"
    httpserver.expect_ordered_request("/version").respond_with_response(busy)
    httpserver.expect_ordered_request("/version").respond_with_response(busy)
    httpserver.expect_ordered_request("/version").respond_with_json(VERSION)
    assert client.request("GET", "/version") == VERSION
    assert len(pauses.taken) == 2
    assert min(pauses.taken) >= 3


@pytest.mark.parametrize("code", [502, 503, 504])
def test_an_apply_is_sent_again(client: Client, httpserver: HTTPServer, code: int) -> None:
    """A gateway's "not now" to a server-side apply, which is idempotent, is tried again."""
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "llm"}}
    path = DEPLOYMENT.path("llm", "a")
    httpserver.expect_ordered_request(path, method="PATCH").respond_with_data("busy", status=code)
    httpserver.expect_ordered_request(path, method="PATCH").respond_with_json(manifest, status=201)
    assert objects.apply(client, DEPLOYMENT, manifest) == (True, manifest)


def test_it_gives_up_in_the_end(client: Client, httpserver: HTTPServer, pauses: Pauses) -> None:
    """A server that stays overloaded is told after half a minute of pauses, with its own message."""
    httpserver.expect_request("/version").respond_with_response(
        status(429, "TooManyRequests", "please try again later")
    )
    with pytest.raises(ApiRefused, match="please try again later") as refused:
        client.request("GET", "/version")
    assert refused.value.status == 429
    assert 10 < sum(pauses.taken) <= 30


def test_a_retry_after_beyond_our_patience_is_not_waited_for(
    client: Client, httpserver: HTTPServer, pauses: Pauses
) -> None:
    """A server that wants an hour is not waited for at all."""
    busy = status(503, "ServiceUnavailable", "down for maintenance")
    busy.headers["Retry-After"] = "3600"
    httpserver.expect_request("/version").respond_with_response(busy)
    with pytest.raises(ClusterRefused, match="down for maintenance"):
        client.request("GET", "/version")
    assert pauses.taken == []


def test_an_internal_error_is_tried_for_two_seconds(client: Client, httpserver: HTTPServer, pauses: Pauses) -> None:
    """500 is what a failing webhook and a moment without etcd's leader give: three more tries, then it is told."""
    message = 'failed calling webhook "x.example.com": connection refused'
    httpserver.expect_request("/version").respond_with_response(status(500, "InternalError", message))
    with pytest.raises(ApiRefused, match="failed calling webhook"):
        client.request("GET", "/version")
    assert len(pauses.taken) == 3
    assert sum(pauses.taken) < 3


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<!doctype html><title>Sign in</title>", 200),
        ("<html>not found</html>", 404),
        ("", 200),
        ("[]", 200),
        ('{"kind": "Depl', 200),
        ("moved", 302),
    ],
)
def test_what_is_no_api_server(client: Client, httpserver: HTTPServer, body: str, code: int) -> None:
    """A login page, an empty or cut-off answer or a redirect is named as what it is, not decoded."""
    headers = {"Location": "http://127.0.0.1:1/"} if code == 302 else {}
    httpserver.expect_request("/version").respond_with_data(body, status=code, headers=headers)
    with pytest.raises(ClusterUnreachable, match="does not answer like an API server"):
        client.request("GET", "/version")


def test_unauthorized(client: Client, httpserver: HTTPServer) -> None:
    """401 is the credentials' fault, and the message does not repeat them."""
    httpserver.expect_request("/version").respond_with_response(status(401, "Unauthorized", "Unauthorized"))
    with pytest.raises(ClusterUnauthorized) as refused:
        client.request("GET", "/version")
    assert "secret-token" not in str(refused.value)


def test_credentials_that_expire_during_an_apply(client: Client, httpserver: HTTPServer) -> None:
    """A 401 is an answer: nothing was done, which is another thing than no answer."""
    httpserver.expect_request(DEPLOYMENT.path("llm", "a")).respond_with_response(status(401, "Unauthorized", "no"))
    doc = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "llm"}}
    prepared = Prepared((Manifest(doc, Stage.MODELS, "t", "a", "a"),), {("apps/v1", "Deployment"): DEPLOYMENT})
    result = apply_all(client, prepared, Options(), lambda _: None)
    assert [(one.outcome, one.note) for one in result.objects] == [(Outcome.NOT_APPLIED, "")]
    assert isinstance(result.error, ClusterUnauthorized)


def test_every_invalid_field_is_named(client: Client, httpserver: HTTPServer) -> None:
    """Of a 422 the causes are shown, each with its field."""
    causes = [
        {"reason": "FieldValueInvalid", "field": "spec.replicas", "message": "must be 0 or more"},
        {"reason": "FieldValueRequired", "field": "spec.selector", "message": "Required value"},
    ]
    answer = status(422, "Invalid", "Deployment is invalid", causes=causes)
    httpserver.expect_request(DEPLOYMENT.path("llm", "a")).respond_with_response(answer)
    with pytest.raises(ApiRefused) as refused:
        objects.get(client, DEPLOYMENT, "llm", "a")
    problem = refused.value.problem
    assert problem.where == "llm/Deployment/a"
    assert problem.message == "spec.replicas: must be 0 or more; spec.selector: Required value"


def test_warnings_are_collected_once(client: Client, httpserver: HTTPServer) -> None:
    """What the API server warns about is there to be shown, each text once."""
    headers = {"Warning": '299 - "would violate PodSecurity \\"restricted:latest\\""'}
    httpserver.expect_request("/version").respond_with_json(VERSION, headers=headers)
    client.request("GET", "/version")
    client.request("GET", "/version")
    assert client.take_warnings() == ['would violate PodSecurity "restricted:latest"']
    assert client.take_warnings() == []


def test_a_list_is_read_page_by_page(client: Client, httpserver: HTTPServer) -> None:
    """A list that goes on is followed to its end, and each item knows what it is."""
    pages = {
        "": {"metadata": {"continue": "more", "resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]},
        "more": {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]},
    }
    httpserver.expect_request(PODS).respond_with_handler(
        lambda request: Response(json.dumps(pages[request.args.get("continue", "")]), content_type="application/json")
    )
    items, version = objects.list_all(client, POD, "llm")
    assert [(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in items] == [
        ("Pod", "v1", "a"),
        ("Pod", "v1", "b"),
    ]
    assert version == "7"


def test_a_server_without_aggregated_discovery(client: Client, httpserver: HTTPServer) -> None:
    """A server of before 1.27 is asked group by group, and only for the groups that are needed."""
    httpserver.expect_request("/apis").respond_with_json({"kind": "APIGroupList", "groups": []})
    resources = [
        {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["list", "delete"]},
        {"name": "deployments/scale", "kind": "Scale", "namespaced": True, "verbs": ["get"]},
    ]
    httpserver.expect_request("/apis/apps/v1").respond_with_json({"kind": "APIResourceList", "resources": resources})
    httpserver.expect_request("/apis/serving.kserve.io/v1beta1").respond_with_response(
        Response("404 page not found\n", 404, content_type="text/plain")
    )
    discovery = Discovery(client)
    assert discovery.kind("apps/v1", "Deployment") == DEPLOYMENT
    with pytest.raises(ApiRefused, match="does not know the kind InferenceService"):
        discovery.kind("serving.kserve.io/v1beta1", "InferenceService")
    assert len(httpserver.log) == 3


class Watched:
    """A server of one list, whose watches play one script after another and then stay silent."""

    def __init__(
        self, httpserver: HTTPServer, lists: list[dict[str, Any] | Response], watches: list[list[dict[str, Any]]]
    ) -> None:
        self._lists, self._watches = lists, watches
        self.versions: list[str] = []
        httpserver.expect_request(PODS).respond_with_handler(self._answer)

    def _answer(self, request: Any) -> Response:
        if request.args.get("watch") != "true":
            answer = self._lists.pop(0)
            return answer if isinstance(answer, Response) else Response(json.dumps(answer), 200, JSON)
        self.versions.append(request.args["resourceVersion"])
        events = self._watches.pop(0) if self._watches else []
        return Response("".join(json.dumps(event) + "\n" for event in events), content_type="application/json")


def page(version: str, *names: str) -> dict[str, Any]:
    """A list of pods."""
    items = [{"metadata": {"name": name, "namespace": "llm", "resourceVersion": version}} for name in names]
    return {"kind": "PodList", "metadata": {"resourceVersion": version}, "items": items}


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    """A watch event of a pod."""
    metadata = {"name": name, "namespace": "llm", "resourceVersion": version}
    return {"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}}


def followed(client: Client, until: Callable[[set[str]], bool]) -> set[str]:
    """The names of the pods once `until` holds for them."""
    with Follower(client, [Selection(POD, "llm")]) as follower:
        for _ in range(200):
            seen = follower.objects()
            names = {one["metadata"]["name"] for one in seen or []}
            if seen is not None and until(names):
                return names
            follower.wait(0.1)
    raise AssertionError(names)


def test_events_and_bookmarks(client: Client, httpserver: HTTPServer) -> None:
    """Objects come and go with the events; the next watch goes on from the last bookmark."""
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "99"}}}
    script = [event("ADDED", "b", "11"), event("DELETED", "a", "12"), bookmark]
    server = Watched(httpserver, [page("10", "a")], [script])
    assert followed(client, lambda names: names == {"b"} and len(server.versions) > 1) == {"b"}
    assert server.versions[:2] == ["10", "99"]


def test_a_forgotten_version_is_listed_anew(client: Client, httpserver: HTTPServer) -> None:
    """After 410 Gone everything is listed again, so that no deletion is missed."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    server = Watched(httpserver, [page("10", "a", "b"), page("50", "b")], [[gone]])
    assert followed(client, lambda names: names == {"b"} and len(server.versions) > 1) == {"b"}
    assert server.versions[:2] == ["10", "50"]


def test_a_watch_cut_in_the_middle_goes_on(client: Client, httpserver: HTTPServer) -> None:
    """An event that was cut off is asked for again from the one before it."""
    server = Watched(httpserver, [page("10", "a")], [[event("ADDED", "b", "11")], [event("ADDED", "c", "12")]])
    assert followed(client, lambda names: "c" in names) == {"a", "b", "c"}
    assert server.versions[:2] == ["10", "11"]


def test_a_version_that_is_always_forgotten_is_not_asked_for_without_pause(
    client: Client, httpserver: HTTPServer
) -> None:
    """A server that answers every watch with 410 gets no storm of lists."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    server = Watched(httpserver, [page("10", "a")] * 100, [[gone]] * 100)
    end = time.monotonic() + 2
    assert followed(client, lambda _: time.monotonic() > end) == {"a"}
    assert 1 < len(server.versions) < 6


def test_a_right_that_is_missing_for_a_moment(client: Client, httpserver: HTTPServer) -> None:
    """A list that was allowed and then is forbidden, as while the API server starts, is asked for again."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    forbidden = status(403, "Forbidden", 'pods is forbidden: User "x" cannot list resource "pods": RBAC: not found')
    server = Watched(httpserver, [page("10", "a"), forbidden, page("50", "b")], [[gone]])
    assert followed(client, lambda names: names == {"b"}) == {"b"}
    assert server.versions[0] == "10"


def test_a_right_that_is_missing_ends_it(client: Client, httpserver: HTTPServer) -> None:
    """Who may not list is told so, rather than waiting for objects that never come."""
    message = 'pods is forbidden: User "x" cannot list resource "pods"'
    httpserver.expect_request(PODS).respond_with_response(status(403, "Forbidden", message))
    with pytest.raises(ApiRefused, match="cannot list resource"):
        followed(client, lambda _: False)


def test_a_log_that_cannot_be_read_is_left_out(client: Client, httpserver: HTTPServer) -> None:
    """A kubelet that answers in its own words, or not at all, does not cost what else is known of the pod."""
    events = [{"reason": "BackOff", "message": "restarting", "lastTimestamp": "2026-11-23T14:20:00Z"}]
    httpserver.expect_request("/api/v1/namespaces/llm/events").respond_with_json({"metadata": {}, "items": events})
    httpserver.expect_request(f"{PODS}/a/log").respond_with_data("unable to read the log", status=500)
    assert evidence(client, "llm", "a", "server", ran=True) == Evidence(("BackOff: restarting",))


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog of one model."""
    path = tmp_path / "models.yaml"
    path.write_text(
        "apiVersion: wtsctl/v1\nname: small\ndefaults: {namespace: llm, images: {llamacpp: 'x:1'}}\nmodels:\n"
        "- {name: a, runtime: llamacpp, model: /m.gguf, role: chat, maxModelLen: 512,\n"
        "   resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}}\n"
    )
    return path


def test_ctrl_c_does_not_wait_for_an_answer(kubeconfig: Path, httpserver: HTTPServer, catalog: Path) -> None:
    """An API server that says nothing, which is waited for half a minute, keeps nobody who presses Ctrl-C."""
    go = threading.Event()
    asked = threading.Event()

    def silent(_: Request) -> Response:
        asked.set()
        go.wait(60)
        return Response("", 503)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(silent)
    command = [*Wtsctl(catalog, kubeconfig).arguments("status"), "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert asked.wait(60)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    go.set()
    assert (process.returncode, json.loads(stdout)["errors"][0]["code"]) == (130, "interrupted")
    assert seconds < 10


def test_the_command_says_it_too(kubeconfig: Path, httpserver: HTTPServer, catalog: Path) -> None:
    """Through the command line an endless login page is exit 4 and one message, without a traceback."""
    httpserver.expect_request(re.compile(".*")).respond_with_data("<html>sign in</html>")
    for command in ("deploy", "status"):
        done = Wtsctl(catalog, kubeconfig).json(command)
        assert (done.code, done.errors[0]["code"]) == (4, "cluster.unreachable")
        assert "Traceback" not in done.stderr
        assert "secret-token" not in done.stdout + done.stderr
