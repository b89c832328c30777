"""Deploys that are disturbed: what they say is so, and in the end the cluster is as if nothing had been."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.disturbed import CATALOG, HELD, MODEL, Said, settled, started, steady, wait_for
from tests.cluster.everything import difference, everything
from tests.cluster.faultproxy import Answer, Asked, Cut, Fault, FaultProxy, Late, Lines, Storm, fault_proxy
from tests.command import Wtsctl, environment
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import DEPLOYMENT, NAMESPACE
from wtsctl.cluster.faults import ApiRefused

pytestmark = pytest.mark.cluster

BEFORE = {"first": 512, "second": 512, "third": 512}
AFTER = {"first": 512, "second": 256, "third": 512, "fourth": 512}
# What a run is that changes something: one model made again, one changed, one new.
CHANGE = ("deploy", "--no-wait", "--recreate", "deployment/first")


def text(space: str, models: dict[str, int]) -> str:
    """A catalog in a namespace of its own."""
    entries = [MODEL.format(name=name, length=length) for name, length in models.items()]
    return CATALOG.format(space=space) + "".join(entries)


@pytest.fixture
def spaces(client: Client) -> Iterator[Callable[[], str]]:
    """Gives names of namespaces that are gone after the test."""
    given: list[str] = []

    def give() -> str:
        given.append(f"test-{uuid4().hex[:10]}")
        return given[-1]

    yield give
    for name in given:
        with contextlib.suppress(ApiRefused):
            objects.delete(client, NAMESPACE, "", name)


class Deploys:
    """Runs of one catalog in one namespace, by way of a proxy of their own."""

    def __init__(self, space: str, control_plane: Path, folder: Path, proxy: FaultProxy) -> None:
        self.space, self.proxy = space, proxy
        self.file = folder / f"{space}.yaml"
        self.file.write_text(text(space, BEFORE))
        self.direct = Wtsctl(self.file, control_plane)
        self.disturbed = Wtsctl(self.file, proxy.kubeconfig(folder / f"{space}.kubeconfig"))

    def change(self) -> None:
        """Deploy the catalog as it is, and then write another one."""
        done = self.direct.json("deploy", "--no-wait")
        assert done.code == 0, done.stderr
        self.file.write_text(text(self.space, AFTER))

    def killed(self, *given: str, when: Callable[[Asked], bool], after: bool) -> int:
        """Run, and kill -9 it at the first request that `when` takes: before the API server hears of it, or after.

        Returns the exit code.
        """
        command = [*self.disturbed.arguments(*given), "-o", "json"]
        out = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=out, stdout=out, stderr=out, env=environment()) as process:

            def fault(one: Asked) -> Fault | None:
                if not when(one) and process.poll() is None:
                    return None
                process.kill()
                return Cut.UNANSWERED if after else Cut.BEFORE

            self.proxy.fault = fault
            return process.wait(60)


@pytest.fixture
def make(spaces: Callable[[], str], control_plane: Path, tmp_path: Path) -> Iterator[Callable[[], Deploys]]:
    """Makes a catalog with a namespace and a proxy of its own."""
    with contextlib.ExitStack() as stack:

        def made() -> Deploys:
            proxy = stack.enter_context(fault_proxy(connect(control_plane)))
            return Deploys(spaces(), control_plane, tmp_path, proxy)

        yield made


def test_killed_at_ten_points(make: Callable[[], Deploys], client: Client) -> None:
    """SIGKILL at ten requests from first to last, then a second deploy: the same objects as without."""
    new, changed = make(), make()
    assert new.disturbed.json("deploy", "--no-wait").code == 0
    changed.change()
    assert changed.disturbed.json(*CHANGE).code == 0
    wanted = {"new": steady(client, new.space), "changed": steady(client, changed.space)}
    chance = random.Random(20261123)  # noqa: S311
    points: list[tuple[str, int | None, str, bool]] = []
    for name, run in (("new", new), ("changed", changed)):
        count = len(run.proxy.asked)
        # One in each quarter of the run.
        points += [
            (name, int(count * (part + chance.random()) / 4) + 1, "", chance.random() < 0.5) for part in range(4)
        ]
    points += [("changed", None, "first write", False), ("changed", None, "deleted", True)]

    def at(point: tuple[str, int | None, str, bool]) -> tuple[str, int, dict[str, Any], str]:
        name, number, what, after = point
        run = make()
        if name == "changed":
            run.change()
        given = CHANGE if name == "changed" else ("deploy", "--no-wait")

        def when(one: Asked) -> bool:
            if number is not None:
                return one.number == number
            return one.method == "DELETE" if what == "deleted" else one.writes and "/leases" not in one.path

        code = run.killed(*given, when=when, after=after)
        again = run.direct.json(*given[:2])
        assert again.code == 0, (point, again.stderr, again.stdout)
        return name, code, settled(client, run.space, wanted[name]), run.proxy.faulty[0][0].method

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(at, points))
    for point, (name, code, found, _) in zip(points, ended, strict=True):
        assert code == -signal.SIGKILL, point
        assert difference(found, wanted[name]) == [], point
    # Not ten times the same: while it only looks, and while it writes.
    assert {"GET", "PATCH", "DELETE"} <= {method for *_, method in ended}


BUSY = (
    Answer(429, {"Retry-After": "1"}),
    Answer(429),
    Answer(429, {"Retry-After": "soon"}),
    Answer(503, {"Retry-After": "0"}, b"upstream is gone"),
)
FAILING = (Answer(500), Answer(502), Answer(503, {}, b"<html>no server</html>"), Answer(504))
BREAKING = (Cut.BEFORE, Cut.UNANSWERED, Cut.HALF)


@pytest.mark.parametrize(
    ("faults", "share", "in_a_row"),
    [(BUSY, 0.3, 1), (FAILING, 0.4, 2), (BREAKING, 0.4, 2)],
    ids=["busy", "failing", "cut"],
)
def test_a_storm(
    make: Callable[[], Deploys], client: Client, faults: tuple[Fault, ...], share: float, in_a_row: int
) -> None:
    """A server that is busy, fails or breaks off over and over: the same objects in the end, and bounded tries."""
    calm, stormy = make(), make()
    assert calm.disturbed.json("deploy").code == 0
    stormy.proxy.fault = Storm(20261123, faults, share, in_a_row, stormy.space)
    done = stormy.disturbed.json("deploy")
    assert done.code == 0, done.stdout
    assert set(done.outcomes.values()) == {"created"}
    wanted = steady(client, calm.space)
    assert difference(settled(client, stormy.space, wanted), wanted) == []
    met = len(stormy.proxy.faulty)
    assert met >= 10
    # Each fault costs one more request; watches and what is looked at again and again are counted apart.
    assert len(still(stormy.proxy)) <= len(still(calm.proxy)) + met
    assert done.seconds < 60
    for one, fault in stormy.proxy.faulty:
        if isinstance(fault, Answer) and _wants(fault):
            again = next(other for other in stormy.proxy.asked if other.key == one.key and other.number > one.number)
            assert again.at - one.at >= float(fault.headers["Retry-After"]), one


def _wants(fault: Answer) -> bool:
    return fault.headers.get("Retry-After", "").isdecimal()


def still(proxy: FaultProxy) -> list[Asked]:
    """What was asked once, whatever went on meanwhile."""
    return [one for one in proxy.asked if not one.watches and "/leases" not in one.path]


GONE = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}'
BROKEN = b'{"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcdserver: no leader"}}'
BOOKMARK = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "%d"}}}'
WATCHES: dict[str, tuple[Fault, ...]] = {
    "cut": (Cut.HALF, Cut.UNANSWERED, Cut.BEFORE),
    "gone": (Lines((GONE,)), Answer(410, {}, GONE[28:-1])),
    "an error": (Lines((BROKEN,)), Lines(())),
    "no event": (Lines((b"garbage",)), Lines((b"[]",)), Lines((b'{"type": "MODIFIED", "object": {}}',))),
}


@pytest.mark.parametrize("kind", WATCHES)
def test_watches_that_drop(make: Callable[[], Deploys], client: Client, kind: str) -> None:
    """Whatever becomes of its watches, a deploy that waits sees what changes."""
    run = make()
    held = MODEL.format(name="held", length=512).replace("replicas: 0", "replicas: 1") + HELD
    run.file.write_text(CATALOG.format(space=run.space) + held)
    storm = Storm(20261123, WATCHES[kind], 0.8, 3, run.space)
    run.proxy.fault = lambda one: storm(one) if one.watches else None
    with started(run.disturbed, "deploy") as process:
        said = Said(process)
        wait_for(lambda: said.has("held: scheduling") and len(run.proxy.faulty) >= 5)
        path = DEPLOYMENT.path(run.space, "held")
        client.exchange("PATCH", path, body={"spec": {"replicas": 0}}, content_type="application/merge-patch+json")
        wait_for(lambda: said.has("ScaledToZero"), 30)
        assert process.poll() is None


def applies(one: Asked) -> bool:
    """Whether it is the apply of an object."""
    return one.writes and one.method == "PATCH" and "fieldValidation" in one.query


def gives_back(one: Asked) -> bool:
    """Whether it gives the lock back."""
    return one.method == "DELETE" and "/leases/" in one.path


def test_ctrl_c_at_five_points(make: Callable[[], Deploys], client: Client) -> None:
    """Ctrl-C at applies from first to last, and after them: what is said of each object is what the API server has."""
    calm = make()
    assert calm.disturbed.json("deploy", "--no-wait").code == 0
    count = sum(applies(one) for one in calm.proxy.asked)
    assert count >= 6
    first = [1, count // 3, 2 * count // 3, count]
    points = [*((applies, number) for number in first), (gives_back, 1)]

    def at(point: tuple[Callable[[Asked], bool], int]) -> None:
        chosen, number = point
        run = make()
        met, guard = itertools.count(1), threading.Lock()
        after: list[int] = []
        with started(run.disturbed, "deploy", "--no-wait", "--parallel", "2") as process:

            def fault(one: Asked) -> Fault | None:
                with guard:
                    if chosen(one) and next(met) == number:
                        after.append(one.number)
                        process.send_signal(signal.SIGINT)
                # So that the signal is there before the answer.
                return Late(0.3) if after and after[0] <= one.number < after[0] + 3 else None

            run.proxy.fault = fault
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 130, out
        said = {one["identity"]: one["outcome"] for one in json.loads(out)["data"]["objects"]}
        assert set(said.values()) <= {"created", "not-applied"}, said
        assert ("not-applied" in said.values()) == (number < count and chosen is applies) or number == count, said
        assert {name for name, outcome in said.items() if outcome == "created"} == there(client, run, said)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(at, points))


def there(client: Client, run: Deploys, names: Iterable[str]) -> set[str]:
    """Which of these objects the API server has."""
    found = everything(client, run.space) if any("/" in name for name in names) else {}
    identities = {f"{run.space}/{name.replace('SPACE', run.space)}" for name in found}
    identities.add(f"Namespace/{run.space}")
    return identities & set(names)
