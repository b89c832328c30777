"""deploy, status and delete of real models on a real node, broken on purpose and brought back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import Wtsctl, on_a_screen
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import NAMESPACE, POD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.e2e

MODELS = ("small", "other")
IMAGE = "wtsctl-sandbox/llamacpp:smollm2-135m"
CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
  images: {{llamacpp: "{image}"}}
models:
"""
ENTRY = """\
- name: {name}
  aliases: [{name}-alias]
  runtime: llamacpp
  model: /weights/SmolLM2-135M-Instruct.Q4_1.gguf
  role: chat
  maxModelLen: 512
  threads: 1
  startupTimeout: 5m
  resources: {{requests: {{cpu: 50m, memory: 256Mi}}, limits: {{cpu: 1, memory: 1Gi}}}}
"""


@pytest.fixture(scope="module")
def deployed(node: Cluster, space: str, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wtsctl]:
    """Two models, up and answering."""
    catalog = tmp_path_factory.mktemp("deploy") / "models.yaml"
    catalog.write_text(CATALOG.format(space=space, image=IMAGE) + "".join(ENTRY.format(name=name) for name in MODELS))
    wtsctl = Wtsctl(catalog, node.kubeconfig)
    first = wtsctl.json("deploy", "--timeout", "5m", timeout=400)
    assert first.code == 0, first.why
    assert {one["name"]: one["verdict"] for one in first.data["models"]} == dict.fromkeys(MODELS, "ready")
    for one in first.data["models"]:
        assert sorted(one["serves"]) == [one["name"], f"{one['name']}-alias"]
    yield wtsctl
    if any(one["metadata"]["name"] == space for one in objects.list_all(client, NAMESPACE)[0]):
        objects.delete(client, NAMESPACE, "", space)


@pytest.fixture
def broken(deployed: Wtsctl) -> Iterator[Callable[[str, str], None]]:
    """Changes the catalog's text for one test, and brings the models back after it."""
    good = deployed.catalog.read_text()

    def change(old: str, new: str) -> None:
        assert old in good
        deployed.catalog.write_text(good.replace(old, new, 1))

    yield change
    deployed.catalog.write_text(good)
    assert deployed("deploy", "--timeout", "5m", timeout=400).code == 0


def test_all_is_well(deployed: Wtsctl) -> None:
    """Healthy models are exit 0, with their pods, and what each endpoint itself says that it serves."""
    done = deployed.json("status")
    assert done.code == 0
    assert done.errors == []
    for model in done.data["models"]:
        assert model["phase"] == "ready"
        assert model["name"] in model["serves"]
        assert model["pods"]["ready"] == model["pods"]["wanted"] == 1
    again = deployed.json("deploy")
    assert again.code == 0
    assert set(again.outcomes.values()) == {"unchanged"}
    # The first deploy is recorded, with how long each start took; the second changed nothing.
    (first,) = deployed.json("history").data["revisions"]
    assert first["models"] == dict.fromkeys(MODELS, "ready")
    assert set(first["secondsToReady"]) == set(MODELS)
    assert all(0.5 < seconds < 300 for seconds in first["secondsToReady"].values())


def test_an_image_that_is_not_there(deployed: Wtsctl, broken: Callable[[str, str], None]) -> None:
    """The broken model fails with the cause in seconds, the other one goes on serving, and status agrees."""
    broken("- name: other\n", "- name: other\n  image: registry.invalid/no/such:1\n")
    done = deployed.json("deploy", "--timeout", "5m", timeout=400)
    assert done.code == 5
    assert done.seconds < 60
    verdicts = {one["name"]: one["verdict"] for one in done.data["models"]}
    assert verdicts == {"small": "ready", "other": "failed"}
    failed = done.data["models"][1]
    assert failed["reason"] in {"ErrImagePull", "ImagePullBackOff"}
    assert "registry.invalid/no/such:1" in failed["message"]
    assert failed["pods"]["items"][0]["container"] == "server"
    status = deployed.json("status")
    assert status.code == 5
    assert {one["name"]: one["phase"] for one in status.data["models"]} == {"small": "ready", "other": "failed"}


def test_a_server_that_ends_at_once(deployed: Wtsctl, broken: Callable[[str, str], None]) -> None:
    """A crash loop ends the wait before the timeout, with the log of the container that ended."""
    broken("/weights/SmolLM2-135M-Instruct.Q4_1.gguf", "/weights/no-such-file.gguf")
    done = deployed.json("deploy", "--timeout", "5m", timeout=400)
    assert done.code == 5
    assert done.seconds < 180
    failed = done.data["models"][0]
    assert (failed["verdict"], failed["reason"]) == ("failed", "CrashLoopBackOff")
    assert any("no-such-file.gguf" in line for line in failed["log"])


def pod_of(client: Client, space: str, model: str) -> str:
    """The name of a model's pod that is not going away."""
    found, _ = objects.list_all(client, POD, space, labels=f"app.kubernetes.io/instance={model}")
    return next(str(one["metadata"]["name"]) for one in found if not one["metadata"].get("deletionTimestamp"))


def test_a_killed_pod(deployed: Wtsctl, client: Client, space: str) -> None:
    """Between the kill and the recovery status is 5 and names the model; afterwards it is 0 with another pod."""
    before = pod_of(client, space, "small")
    objects.delete(client, POD, space, before)
    killed = deployed.json("status")
    assert killed.code == 5
    assert [one["ready"] for one in killed.data["models"]] == [False, True]
    deadline = time.monotonic() + 120
    while (now := deployed.json("status")).code != 0:
        assert time.monotonic() < deadline, now.stdout
        time.sleep(1)
    assert now.data["models"][0]["pods"]["items"][0]["name"] != before


def test_an_endpoint_that_hangs(deployed: Wtsctl, client: Client, space: str) -> None:
    """A server that is stopped in its tracks, its pod still ready, is not ready; it costs its own timeout alone."""
    with stopped(client, space, "small"):
        done = deployed.json("status", "--probe-timeout", "2s")
    assert done.code == 5
    small, other = done.data["models"]
    assert (small["phase"], small["reason"]) == ("endpoint", "NoAnswer")
    assert "2 s" in small["endpointError"]
    assert other["ready"] is True
    assert done.seconds < 30


class stopped:  # noqa: N801 - reads as the statement it is
    """The model server's process, found by its port's owner, stopped with SIGSTOP and set going again."""

    def __init__(self, client: Client, space: str, model: str) -> None:
        pod = next(
            one
            for one in objects.list_all(client, POD, space, labels=f"app.kubernetes.io/instance={model}")[0]
            if not one["metadata"].get("deletionTimestamp")
        )
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        # The container's id stands in the cgroup of its processes, on cgroup v1 and v2 alike.
        self.pids = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cgroup") if container in _text(path)]
        assert self.pids

    def __enter__(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_ctrl_c_on_a_screen(deployed: Wtsctl, client: Client, space: str) -> None:
    """The live table shows each model; Ctrl-C ends it with 130, the cursor back, and what was applied."""
    objects.delete(client, POD, space, pod_of(client, space, "small"))
    code, shown = on_a_screen(deployed.arguments("deploy"), until=b"1 of 2 ready", keys=b"\x03")
    assert code == 130
    assert "small" in shown
    assert "interrupted while waiting" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert deployed("deploy", "--timeout", "2m", timeout=180).code == 0


def test_a_screen_to_the_end(deployed: Wtsctl) -> None:
    """On a screen the live table goes away and the result is left, in colour."""
    code, shown = on_a_screen(deployed.arguments("deploy"), until=b"")
    assert code == 0
    assert "2 of 2 ready" in shown
    assert "\x1b[32mready" in shown.rpartition("\x1b[?25h")[2]
    plain = on_a_screen([*deployed.arguments("status"), "--no-color"], until=b"")
    assert plain[0] == 0
    assert "\x1b[32m" not in plain[1]


def test_delete_leaves_nothing(deployed: Wtsctl, client: Client, space: str) -> None:
    """At the end neither pods nor the namespace are left, and status says that the models are absent."""
    done = deployed.json("delete", "--yes", timeout=200)
    assert done.code == 0, done.stderr
    assert all(one["metadata"]["name"] != space for one in objects.list_all(client, NAMESPACE)[0])
    status = deployed.json("status")
    assert status.code == 5
    assert {one["phase"] for one in status.data["models"]} == {"absent"}
    assert deployed("deploy", "--dry-run").code == 0
