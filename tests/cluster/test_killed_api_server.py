"""The API server itself killed in the middle of a deploy, on a control plane of these tests' own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.disturbed import CATALOG, HELD, MODEL, Said, started, steady, wait_for
from tests.cluster.everything import difference, everything
from tests.command import Wtsctl
from tests.sandboxes import Cluster
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import DEPLOYMENT, NAMESPACE
from wtsctl.cluster.faults import ApiRefused
from wtsctl.sandbox import launch

pytestmark = pytest.mark.cluster

MANY = [f"model-{number:02}" for number in range(20)]


@pytest.fixture
def admin(own_control_plane: Cluster) -> Client:
    """A client with all rights, which waits for the API server too."""
    return Client(connect(own_control_plane.kubeconfig))


@pytest.fixture
def wtsctl(own_control_plane: Cluster, admin: Client, tmp_path: Path) -> Iterator[Wtsctl]:
    """A catalog of twenty models in a namespace that is gone after the test."""
    space = f"test-{uuid4().hex[:10]}"
    file = tmp_path / f"{space}.yaml"
    file.write_text(CATALOG.format(space=space) + "".join(MODEL.format(name=name, length=512) for name in MANY))
    yield Wtsctl(file, own_control_plane.kubeconfig)
    with contextlib.suppress(ApiRefused):
        objects.delete(admin, NAMESPACE, "", space)


def pid_of(cluster: Cluster, component: str = "") -> int:
    """The number of a process of the control plane; without a name, of the one that starts them again."""
    report = launch.report(cluster.layout)
    assert report is not None
    return int((report["components"][component]["pid"] if component else report["pid"]) or 0)


def kill(cluster: Cluster) -> None:
    """SIGKILL the API server; its supervisor starts it again."""
    os.kill(pid_of(cluster, "kube-apiserver"), signal.SIGKILL)


@contextlib.contextmanager
def not_restarted(cluster: Cluster) -> Iterator[None]:
    """What dies meanwhile stays dead."""
    supervisor = pid_of(cluster)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The document of a run once it has ended."""
    assert process.stdout is not None
    out = process.stdout.read()
    process.wait(60)
    document: dict[str, Any] = json.loads(out)
    return document


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    """Outcome by identity."""
    return {one["identity"]: one["outcome"] for one in document["data"]["objects"]}


def test_killed_while_applying(own_control_plane: Cluster, admin: Client, wtsctl: Wtsctl) -> None:
    """The deploy waits until the API server is back, says so, and goes on; all is as in an undisturbed one."""
    space = wtsctl.catalog.stem
    with started(wtsctl, "deploy", "-v", "--no-wait", "--parallel", "1") as process:
        err = Said(process)
        wait_for(lambda: err.has("/Deployment/model-03 created"))
        kill(own_control_plane)
        document = ended(process)
    assert document["exitCode"] == 0, document["errors"]
    assert set(outcomes(document).values()) == {"created"}
    assert err.has("is gone; waiting for it")
    assert err.has("answers again")
    calm = Wtsctl(wtsctl.catalog.with_name(f"calm-{space}.yaml"), wtsctl.kubeconfig)
    calm.catalog.write_text(wtsctl.catalog.read_text().replace(space, f"{space}-calm"))
    assert calm.json("deploy", "--no-wait").code == 0
    assert difference(steady(admin, space), steady(admin, f"{space}-calm")) == []
    objects.delete(admin, NAMESPACE, "", f"{space}-calm")


def test_interrupted_while_it_is_gone(own_control_plane: Cluster, admin: Client, wtsctl: Wtsctl) -> None:
    """Ctrl-C while the deploy waits for a server that is dead ends it at once, with what was applied and what not."""
    with not_restarted(own_control_plane), started(wtsctl, "deploy", "-v", "--no-wait", "--parallel", "1") as process:
        err = Said(process)
        wait_for(lambda: err.has("/Deployment/model-03 created"))
        kill(own_control_plane)
        wait_for(lambda: err.has("is gone; waiting for it"))
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        document = ended(process)
        assert time.monotonic() - began < 10
    assert document["exitCode"] == 130
    said = outcomes(document)
    # One at a time: at most one can be in doubt.
    assert list(said.values()).count("unknown") <= 1
    assert list(said.values()).count("not-applied") >= 10
    problems = {one["code"]: one["message"] for one in document["errors"]}
    assert "model-19" in problems["deploy.not-applied"]
    space = wtsctl.catalog.stem
    wait_for(lambda: answers(admin))
    found = {f"{space}/{name.replace('SPACE', space)}" for name in everything(admin, space)} | {f"Namespace/{space}"}
    assert {name for name, outcome in said.items() if outcome == "created"} <= found
    assert not {name for name, outcome in said.items() if outcome == "not-applied"} & found
    again = wtsctl.json("deploy", "--no-wait")
    assert again.code == 0, again.stderr
    assert {name for name, outcome in again.outcomes.items() if outcome == "unchanged"} >= {
        name for name, outcome in said.items() if outcome == "created"
    }


def answers(client: Client) -> bool:
    """Whether the API server is ready."""
    try:
        return client.text("/readyz") == "ok"
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False


def test_killed_while_waiting(own_control_plane: Cluster, admin: Client, wtsctl: Wtsctl) -> None:
    """The wait goes on with what was known, says what is wrong, and sees what happens once the server is back."""
    space = wtsctl.catalog.stem
    held = MODEL.format(name="held", length=512).replace("replicas: 0", "replicas: 1") + HELD
    wtsctl.catalog.write_text(CATALOG.format(space=space) + held)
    with started(wtsctl, "deploy", "--timeout", "120s") as process:
        err = Said(process)
        wait_for(lambda: err.has("held: scheduling"))
        killed = pid_of(own_control_plane, "kube-apiserver")
        kill(own_control_plane)
        wait_for(lambda: pid_of(own_control_plane, "kube-apiserver") != killed and answers(admin))
        path = DEPLOYMENT.path(space, "held")
        body = {"spec": {"replicas": 0}}
        admin.exchange("PATCH", path, body=body, content_type="application/merge-patch+json", repeatable=True)
        wait_for(lambda: err.has("ScaledToZero"), 30)
        assert process.poll() is None
