"""An API server that goes away, comes back, breaks off or is slow: what the client and an apply make of it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rawserver import RESET, RawServer, Step, answer
from wtsctl.cluster import objects
from wtsctl.cluster.apply import ApplyResult, Outcome, apply_all
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import CONFIG_MAP, DEPLOYMENT, POD
from wtsctl.cluster.faults import ApiRefused, NeverSent
from wtsctl.cluster.prepare import Options, Prepared
from wtsctl.cluster.watch import Follower, Selection
from wtsctl.errors import ClusterLocked, ClusterUnreachable
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest

VERSION = {"major": "1", "minor": "36"}
FOUND = answer(json.dumps(VERSION).encode())
LOST = [RESET]
MakeClient = Callable[..., Client]


@pytest.fixture
def client_of(tmp_path: Path) -> MakeClient:
    """Makes clients of the server at a port of this machine."""

    def make(port: int, **how: Any) -> Client:
        path = tmp_path / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "test", "user": {"token": "secret-token"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return Client(connect(path), **how)

    return make


def applied(name: str) -> bytes:
    """The answer to an apply that made an object."""
    return answer(json.dumps(doc(name)).encode(), "201 Created")


def status(code: int, reason: str, message: str) -> bytes:
    """A Status as the API server answers it."""
    body = {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "code": code}
    return answer(json.dumps(body).encode(), f"{code} {reason}")


def doc(name: str) -> dict[str, Any]:
    """An object to be applied."""
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "llm"}}


def apply(client: Client, *names: str, still: Callable[[], None] = lambda: None) -> ApplyResult:
    """Apply objects one after the other."""
    manifests = tuple(Manifest(doc(name), Stage.MODELS, "t", name, name) for name in names)
    prepared = Prepared(manifests, {("apps/v1", "Deployment"): DEPLOYMENT})
    return apply_all(client, prepared, Options(parallel=1), lambda _: None, still=still)


def test_the_first_connection_is_not_waited_for(client_of: MakeClient) -> None:
    """A server that has never answered and refuses is told at once: it is the wrong address, or down."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    pauses: list[float] = []
    with pytest.raises(NeverSent, match="nothing listens"):
        client_of(port, sleep=pauses.append).request("GET", "/version")
    assert pauses == []


def test_a_server_that_restarts_is_waited_for(client_of: MakeClient) -> None:
    """A server that has answered and is gone is asked until it is back, which is said."""
    said: list[str] = []
    with RawServer([[FOUND]]) as first:
        port = first.port
    restarted = contextlib.ExitStack()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            restarted.enter_context(RawServer([[FOUND]], port=port))

    with restarted:
        with RawServer([[FOUND]], port=port):
            client = client_of(port, sleep=sleep, told=said.append)
            assert client.request("GET", "/version") == VERSION
        assert client.request("GET", "/version") == VERSION
    assert len(pauses) == 3
    assert ["is gone; waiting" in said[0], "answers again" in said[1], len(said)] == [True, True, 2]


def test_a_server_that_has_not_read_its_roles_yet(client_of: MakeClient) -> None:
    """A 403 right after a restart is asked about again; one of a server that was there all along is not."""
    forbidden = status(403, "Forbidden", 'RBAC: role.rbac.authorization.k8s.io "ci" not found')
    restarted = contextlib.ExitStack()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            restarted.enter_context(RawServer([[forbidden], [forbidden], [FOUND]], port=port))

    with restarted:
        with RawServer([[FOUND], [forbidden]]) as server:
            port = server.port
            client = client_of(port, sleep=sleep)
            assert client.request("GET", "/version") == VERSION
            with pytest.raises(ApiRefused):
                client.request("GET", "/version")
            assert pauses == []
        assert client.request("GET", "/version") == VERSION
    assert len(pauses) == 3


def test_a_server_that_stays_away_is_not_waited_for_twice(client_of: MakeClient) -> None:
    """After half a minute of pauses it is told, and the next request no longer waits."""
    pauses: list[float] = []
    with RawServer([[FOUND]]) as server:
        client = client_of(server.port, sleep=pauses.append)
        client.request("GET", "/version")
    # What is cut off first may have been heard.
    with pytest.raises(ClusterUnreachable):
        client.request("GET", "/version")
    assert 15 < sum(pauses) <= 40
    taken = len(pauses)
    with pytest.raises(NeverSent):
        client.request("GET", "/version")
    assert len(pauses) == taken


def test_who_wants_to_leave_does_not_wait(client_of: MakeClient) -> None:
    """Ctrl-C while a request waits for a server that is gone ends it at once."""
    with RawServer([[FOUND]]) as server:
        waits = threading.Event()
        client = client_of(server.port, told=lambda _: waits.set())
        client.request("GET", "/version")
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            client.request("GET", "/version")
        except ClusterUnreachable as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert waits.wait(20)
    began = time.monotonic()
    client.hurry()
    asking.join(10)
    assert len(ended) == 1
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("cut", [[FOUND[:-5], RESET], [FOUND[:30], RESET], LOST])
def test_an_answer_that_breaks_off(client_of: MakeClient, cut: list[Step]) -> None:
    """Wherever an answer is cut off, it is asked for again."""
    with RawServer([cut, cut, [FOUND]]) as server:
        client = client_of(server.port, sleep=lambda _: None)
        assert client.request("GET", "/version") == VERSION
        assert len(server.requests) == 3


def test_only_what_may_be_sent_twice_is(client_of: MakeClient) -> None:
    """An apply that broke off is sent again; a POST that did may have made something, and is not."""
    with RawServer([LOST]) as server:
        client = client_of(server.port, sleep=lambda _: None)
        with pytest.raises(ClusterUnreachable) as error:
            client.exchange("POST", CONFIG_MAP.path("llm"), body={})
        assert not isinstance(error.value, NeverSent)
        assert len(server.requests) == 1
        with pytest.raises(ClusterUnreachable):
            objects.apply(client, DEPLOYMENT, doc("a"))
        assert len(server.requests) > 3


def test_a_busy_server_gets_a_post_again(client_of: MakeClient) -> None:
    """429 says that nothing was done, so that anything may be sent again."""
    with RawServer(
        [[status(429, "TooManyRequests", "later")], [answer(b'{"kind": "Lease"}', "201 Created")]]
    ) as server:
        client = client_of(server.port, sleep=lambda _: None)
        assert client.exchange("POST", CONFIG_MAP.path("llm"), body={}) == (201, {"kind": "Lease"})


@pytest.mark.parametrize(
    ("script", "outcomes"),
    [
        ([LOST], [Outcome.CREATED, Outcome.UNKNOWN, Outcome.NOT_APPLIED]),
        ([[status(504, "Timeout", "too slow")]], [Outcome.CREATED, Outcome.UNKNOWN, None]),
        ([[status(500, "InternalError", "etcdserver: timed out")]], [Outcome.CREATED, Outcome.UNKNOWN, None]),
        ([[status(500, "InternalError", 'failed calling webhook "x"')]], [Outcome.CREATED, Outcome.FAILED, None]),
        ([[status(429, "TooManyRequests", "later")]], [Outcome.CREATED, Outcome.FAILED, None]),
        ([[status(503, "ServiceUnavailable", "later")]], [Outcome.CREATED, Outcome.FAILED, None]),
        ([LOST, [status(429, "TooManyRequests", "later")]], [Outcome.CREATED, Outcome.UNKNOWN, None]),
        ([LOST, [status(403, "Forbidden", "no")]], [Outcome.CREATED, Outcome.FAILED, None]),
    ],
)
def test_what_is_known_of_each_object(
    client_of: MakeClient, script: list[list[Step]], outcomes: list[Outcome | None]
) -> None:
    """Of what may have been applied it is said so; what was refused failed, and what was not sent was not applied."""
    with RawServer([[applied("a")], *script]) as server:
        result = apply(client_of(server.port, sleep=lambda _: None), "a", "b", "c")
    found = [one.outcome for one in result.objects]
    assert found[: 3 if outcomes[2] else 2] == [one for one in outcomes if one]
    # Where nobody answers any more the rest is left alone.
    assert (result.error is not None) == (found[2] is Outcome.NOT_APPLIED and script == [LOST])


def test_nothing_more_is_sent_without_the_lock(client_of: MakeClient) -> None:
    """Before each object, not only before each stage: what is not sent any more is said to be not applied."""
    asked = iter((None, ClusterLocked("the lock was lost")))

    def still() -> None:
        if (error := next(asked)) is not None:
            raise error

    with RawServer([[applied("a")]]) as server:
        done = apply(client_of(server.port), "a", "b", "c", still=still)
        assert len(server.requests) == 1
    assert [one.outcome for one in done.objects] == [Outcome.CREATED, Outcome.NOT_APPLIED, Outcome.NOT_APPLIED]
    assert isinstance(done.error, ClusterLocked)


def test_a_server_that_goes_away_before_anything_is_sent(client_of: MakeClient) -> None:
    """What never left is not applied, which is another thing than unknown."""
    with RawServer([[applied("a")]]) as server:
        client = client_of(server.port, sleep=lambda _: None)
        apply(client, "a")
    result = apply(client, "a", "b")
    assert [one.outcome for one in result.objects] == [Outcome.NOT_APPLIED, Outcome.NOT_APPLIED]
    assert isinstance(result.error, NeverSent)


def test_a_slow_server_leaves_it_unknown(client_of: MakeClient) -> None:
    """An apply that is not answered in time is sent once more, and then may or may not have been done."""
    slow: list[Step] = [1.5, applied("a")]
    with RawServer([slow]) as server:
        result = apply(client_of(server.port, read_seconds=0.3), "a", "b")
        assert [one.outcome for one in result.objects] == [Outcome.UNKNOWN, Outcome.NOT_APPLIED]
        assert "may or may not" in result.objects[0].note
        assert "did not answer in time" in str(result.error)
        assert len(server.requests) == 2


def test_a_server_that_was_slow_once(client_of: MakeClient) -> None:
    """The second try of an apply that was not answered in time counts, and the object is created, not configured."""
    there = answer(json.dumps(doc("a")).encode())
    with RawServer([[1.5, applied("a")], [there]]) as server:
        result = apply(client_of(server.port, read_seconds=0.3), "a")
    assert [one.outcome for one in result.objects] == [Outcome.CREATED]


def listed(version: str, *names: str) -> bytes:
    """A list of pods."""
    items = [{"metadata": {"name": name, "namespace": "llm", "resourceVersion": version}} for name in names]
    return answer(json.dumps({"kind": "PodList", "metadata": {"resourceVersion": version}, "items": items}).encode())


def followed(client: Client, until: set[str]) -> set[str]:
    """The names of the pods once they are these, or after some seconds."""
    names: set[str] = set()
    deadline = time.monotonic() + 10
    with Follower(client, [Selection(POD, "llm")]) as follower:
        while names != until and time.monotonic() < deadline:
            follower.wait(0.1)
            names = {one["metadata"]["name"] for one in follower.objects() or []}
    return names


@pytest.mark.parametrize("line", ["[]", "null", "7", "{}", '{"type": "ADDED"}', '{"type": "ADDED", "object": {}}', "x"])
def test_what_is_no_event(client_of: MakeClient, line: str) -> None:
    """A line that is no event does not end the following: the next watch goes on."""
    event = {"type": "ADDED", "object": {"metadata": {"name": "b", "namespace": "llm", "resourceVersion": "11"}}}
    with RawServer(
        [[listed("10", "a")], [answer(f"{line}\n".encode())], [answer(json.dumps(event).encode())]]
    ) as server:
        assert followed(client_of(server.port), {"a", "b"}) == {"a", "b"}


def test_where_watches_tell_nothing_it_is_listed(client_of: MakeClient) -> None:
    """Behind a gateway that ends each watch at once, changes are seen all the same, and it is not stormed."""
    empty = [answer(b"")]
    with RawServer([[listed("10", "a")], empty, empty, empty, [listed("20", "b")], empty]) as server:
        assert followed(client_of(server.port), {"b"}) == {"b"}
        assert len(server.requests) <= 6
