"""Two at work on one catalog: one writes, the other says who does; on a real API server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import namespace
from tests.cluster.disturbed import Said, wait_for
from tests.command import environment
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import DEPLOYMENT
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.history import History
from wtsctl.cluster.identity import Holder
from wtsctl.cluster.lease import LEASE, Lease
from wtsctl.errors import ClusterLocked

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.command import Wtsctl
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster


class Locks:
    """Locks on one catalog as several machines would ask for them; what they say is kept."""

    def __init__(self, client: Client, space: str) -> None:
        self.client, self.space = client, space
        self.said: list[str] = []
        self.held: list[Lease] = []

    def __call__(self, who: str, *, process: str = "", seconds: float = 1.0, **time: Callable[..., Any]) -> Lease:
        """A lock to be asked for by a holder of this name; `time` may be its own clock and sleep."""
        holder = Holder(who, f"run-{who}", process)
        told = self.said.append
        lock = Lease(self.client, self.space, "it", told, told, holder=holder, seconds=seconds, **time)
        self.held.append(lock)
        return lock


@pytest.fixture
def locks(client: Client, space: str) -> Iterator[Locks]:
    """Locks in a namespace that is there; all are given back."""
    namespace(client, space)
    made = Locks(client, space)
    yield made
    for one in made.held:
        one.release()


def test_exactly_one_of_many_gets_it(locks: Locks) -> None:
    """Of eight who ask at once one holds the Lease, and the others are told who, since when, and when it said so."""
    got: list[str] = []
    errors: list[ClusterLocked] = []

    def ask(who: str) -> None:
        try:
            locks(who, clock=slowly).acquire(0)
            got.append(who)
        except ClusterLocked as error:
            errors.append(error)

    def slowly() -> float:
        # Renewed five times in a second of ours, it holds for a minute without: however little of the machine we get.
        return time.monotonic() / 60

    threads = [Thread(target=ask, args=(f"ask{at}",)) for at in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(got), len(errors)) == (1, 7)
    for error in errors:
        assert error.problems[0].code == "cluster.locked"
        assert f"{got[0]}, since 20" in error.problems[0].message
        assert "last renewed 20" in error.problems[0].message
        assert "--lock-timeout" in error.problems[0].hint


def test_one_that_waits_gets_it_once_it_is_given_back(locks: Locks) -> None:
    """With patience it is waited for, with a word about that; given back it is there at once."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            first.release()

    first = locks("first", seconds=60)
    second = locks("second", seconds=60, sleep=sleep, clock=lambda: sum(slept))
    assert first.acquire(0) is False
    assert second.acquire(30) is True
    assert len(slept) == 3
    assert "first, since" in locks.said[0]
    second.check()


def test_a_holder_that_was_killed_is_replaced(locks: Locks, client: Client, space: str) -> None:
    """A Lease that nobody renews is taken once its time is over, however old or new its own clock says that it is."""
    spec = {"holderIdentity": "gone", "leaseDurationSeconds": 1, "renewTime": "2099-01-01T00:00:00.000000Z"}
    body = {"metadata": {"name": "wtsctl-it"}, "apiVersion": LEASE.api_version, "kind": "Lease", "spec": spec}
    client.exchange("POST", LEASE.path(space), body=body)
    began = time.monotonic()
    lock = locks("next")
    assert lock.acquire(0) is True
    assert time.monotonic() - began >= 1
    assert "looking whether the holder" in locks.said[0]
    assert locks.said[-1] == "took the lock over from gone, which does not renew it any more"
    there = objects.get(client, LEASE, space, "wtsctl-it")["spec"]
    assert (there["holderIdentity"], there["leaseTransitions"]) == ("next", 1)
    lock.release()
    with pytest.raises(ApiRefused, match="not found"):
        objects.get(client, LEASE, space, "wtsctl-it")


def test_one_that_was_written_meanwhile_is_given_back(locks: Locks, client: Client, space: str) -> None:
    """Another version than the one that its holder knows, as after a renewal that was broken off, goes too."""
    lock = locks("first", seconds=60)
    lock.acquire(0)
    path = LEASE.path(space, "wtsctl-it")
    body = {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
    client.exchange("PATCH", path, body=body, content_type="application/merge-patch+json")
    lock.release()
    assert objects.list_all(client, LEASE, space)[0] == []


def test_a_lost_lock_is_noticed(locks: Locks, client: Client, space: str) -> None:
    """Whoever had its Lease deleted, or taken, hears of it before writing on, and does not delete the other's."""
    now = [0.0]
    first, second = locks("first", seconds=60, clock=lambda: now[0]), locks("second", seconds=60)
    first.acquire(0)
    first.check()
    objects.delete(client, LEASE, space, "wtsctl-it")
    second.acquire(0)
    # As long as it was renewed in time nobody is asked before each object; a process that stood still was not.
    first.still()
    now[0] = 40.0
    with pytest.raises(ClusterLocked, match="the lock was lost: second holds it now"):
        first.still()
    with pytest.raises(ClusterLocked) as caught:
        first.check()
    assert caught.value.problems[0].code == "cluster.lock-lost"
    first.release()
    second.check()


@contextmanager
def started(wtsctl: Wtsctl, forwarder: Forwarder, client: Client, space: str, *given: str) -> Iterator[Any]:
    """A deploy that is at work: slow by its proxy, the lock in its hands."""
    slow = type(wtsctl)(wtsctl.catalog, forwarder.kubeconfig)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(slow.arguments("deploy", *given), **pipes, text=True, env=environment()) as process:
        try:
            while process.poll() is None and not objects.list_all(client, LEASE, space)[0]:
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


def test_two_deploys_at_once(catalog: MakeCatalog, forwarder: Forwarder, client: Client, space: str) -> None:
    """One goes on; the other ends with exit 4 and says who is at work; a third waits, plans again and goes on too."""
    namespace(client, space)
    forwarder.passing.clear()
    wtsctl = catalog("only")
    with started(wtsctl, forwarder, client, space, "--no-wait") as first:
        arguments = wtsctl.arguments("deploy", "--lock-timeout", "60s")
        pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, env=environment(), **pipes) as third:
            said = Said(third)
            refused = wtsctl.json("deploy")
            assert first.poll() is None
            assert refused.code == 4
            assert refused.errors[0]["code"] == "cluster.locked"
            assert f"pid {first.pid} as " in refused.errors[0]["message"]
            assert set(refused.outcomes.values()) == {"unchanged", "not-applied"}
            # It has its plan, which will not hold.
            wait_for(lambda: said.has("waiting for the lock: ") or said.has("looking whether"))
            forwarder.passing.set()
            assert first.wait(120) == 0
            assert third.wait(120) == 0, said.read
            wait_for(lambda: said.has("planning again"))
    assert objects.list_all(client, LEASE, space)[0] == []


def test_what_another_made_since_the_plan(
    catalog: MakeCatalog, forwarder: Forwarder, client: Client, space: str
) -> None:
    """A deploy that was overtaken before it had the lock plans again, and does not say that it made what was there."""
    wtsctl, other = catalog("only"), catalog("only", maxModelLen=256)
    slow = type(wtsctl)(wtsctl.catalog, forwarder.kubeconfig)
    forwarder.passing.clear()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    command = [*slow.arguments("deploy", "--no-wait"), "-o", "json"]
    with subprocess.Popen(command, **pipes, text=True, env=environment()) as first:
        said = Said(first)
        wait_for(lambda: said.has("to create"))
        assert other.json("deploy", "--no-wait").code == 0
        forwarder.passing.set()
        assert first.stdout is not None
        outcomes = {one["identity"]: one["outcome"] for one in json.loads(first.stdout.read())["data"]["objects"]}
        assert first.wait(60) == 0, said.read
    assert said.has("planning again")
    assert outcomes[f"{space}/Deployment/only"] == "configured"
    assert outcomes[f"{space}/Service/only"] == "unchanged"
    server = objects.get(client, DEPLOYMENT, space, "only")["spec"]["template"]["spec"]["containers"][0]
    assert "512" in server["args"]


def test_overtaken_while_waiting(catalog: MakeCatalog, space: str) -> None:
    """Who waits while another deploy changes the same objects hears whose revision that was, and ends with 5."""
    held = "[{kind: Deployment, merge: {spec: {template: {spec: {schedulerName: nobody}}}}}]"
    mine, other = (catalog("only", replicas=1, patches=held, maxModelLen=length) for length in (512, 256))
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    command = [*mine.arguments("deploy", "--timeout", "15s"), "-o", "json"]
    with subprocess.Popen(command, **pipes, text=True, env=environment()) as first:
        said = Said(first)
        wait_for(lambda: said.has("only: "))
        assert other.json("deploy", "--no-wait").code == 0
        assert first.stdout is not None
        errors = {one["code"]: one["message"] for one in json.loads(first.stdout.read())["errors"]}
        assert first.wait(60) == 5, said.read
    assert errors["deploy.overtaken"].startswith("revision 2, by ")
    assert f"has changed {space}/Deployment/only meanwhile" in errors["deploy.overtaken"]


def test_killed_and_deployed_again(catalog: MakeCatalog, forwarder: Forwarder, client: Client, space: str) -> None:
    """After kill -9 the next deploy from the same machine takes the lock over at once, and says so."""
    namespace(client, space)
    forwarder.passing.clear()
    wtsctl = catalog("only")
    with started(wtsctl, forwarder, client, space) as killed:
        while killed.poll() is None and not History(client, space, space).entries():
            time.sleep(0.1)
        killed.kill()
    forwarder.passing.set()
    (left,) = wtsctl.json("history").data["revisions"]
    assert (left["revision"], left["result"], left["ended"]) == (1, "unfinished", None)
    again = wtsctl.json("deploy")
    assert again.code == 0, again.stderr
    assert f"pid {killed.pid} " in again.stderr
    assert "looking whether" not in again.stderr


def test_a_deploy_that_lost_the_lock_stops(
    catalog: MakeCatalog, forwarder: Forwarder, client: Client, space: str
) -> None:
    """Between two stages a deploy whose Lease was deleted stops, and says what it did not apply."""
    namespace(client, space)
    forwarder.passing.clear()
    more = "platform: {podDisruptionBudgets: off, networkPolicy: {mode: on, apiServer: []}}\n"
    with started(catalog("only", more=more), forwarder, client, space, "--no-wait", "-o", "json") as process:
        objects.delete(client, LEASE, space, f"wtsctl-{space}")
        time.sleep(0.6)
        forwarder.passing.set()
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 4
    assert '"cluster.lock-lost"' in said
    assert "someone deleted it" in said
    assert objects.list_all(client, DEPLOYMENT, space)[0] == []
