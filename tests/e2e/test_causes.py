"""Models that cannot start, each for another reason: all at once on a real node, so that they cost one wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.command import Ran, Wtsctl
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.sandboxes import Cluster
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.e2e

# What the cluster may take to say so is its own; from then on we may take this.
AT_ONCE = 5.0
HEAD = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
  images: {{llamacpp: "wtsctl-sandbox/llamacpp:smollm2-135m", vllm: "wtsctl-sandbox/llamacpp:smollm2-135m"}}
cache: {{claim: weights, size: 1Gi}}
platform: {{podSecurity: baseline}}
extra:
- apiVersion: v1
  kind: ResourceQuota
  metadata: {{name: no-gpus, namespace: {space}}}
  spec: {{hard: {{requests.nvidia.com/gpu: "0"}}}}
- apiVersion: v1
  kind: ConfigMap
  metadata: {{name: there, namespace: {space}}}
  data: {{a: b}}
models:
"""
ENTRY = """\
- name: {name}
  runtime: llamacpp
  model: /weights/SmolLM2-135M-Instruct.Q4_1.gguf
  role: chat
  maxModelLen: 512
  threads: 1
  startupTimeout: 5m
  resources: {{requests: {{cpu: 20m, memory: 32Mi}}, limits: {{cpu: 1, memory: 1Gi}}}}
"""
# What the checks before a deploy would not let through.
ANYWAY = ("deploy", "--ignore-preflight-errors", "all")
POD = "  patches: [{{kind: Deployment, merge: {{spec: {{template: {{spec: {0}}}}}}}}}]\n"


@dataclass(frozen=True)
class Broken:
    """How a model is broken, and what has to be said of it."""

    change: tuple[str, str]
    reasons: tuple[str, ...]
    message: str
    owner: str = "container server"
    signature: str = ""


def pod(spec: str) -> tuple[str, str]:
    """A change of the pod's spec."""
    return ("  threads: 1\n", "  threads: 1\n" + POD.format(spec))


def server(part: str) -> tuple[str, str]:
    """A change of the server's container."""
    return pod("{containers: [{name: server, " + part + "}]}")


LIMITS = "limits: {cpu: 1, memory: 1Gi}"
BROKEN = {
    "image": Broken(
        ("  threads: 1\n", "  threads: 1\n  image: registry.invalid/no/such:1\n"),
        ("ErrImagePull", "ImagePullBackOff"),
        "registry.invalid/no/such:1",
    ),
    "image-name": Broken(server("image: 'Not:A:Name'"), ("InvalidImageName",), "Not:A:Name"),
    "secret": Broken(
        server("env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: a}}}]"),
        ("CreateContainerConfigError",),
        'secret "none" not found',
    ),
    "key": Broken(
        server("env: [{name: A, valueFrom: {configMapKeyRef: {name: there, key: none}}}]"),
        ("CreateContainerConfigError",),
        "couldn't find key none in ConfigMap",
    ),
    "config": Broken(
        server("env: [{name: A, valueFrom: {configMapKeyRef: {name: none, key: a}}}]"),
        ("CreateContainerConfigError",),
        'configmap "none" not found',
    ),
    "command": Broken(
        server("command: [/no/such/program]"), ("RunContainerError", "CrashLoopBackOff"), "/no/such/program"
    ),
    "volume": Broken(
        pod(
            "{volumes: [{name: lost, configMap: {name: none}}], "
            "containers: [{name: server, volumeMounts: [{name: lost, mountPath: /lost}]}]}"
        ),
        ("FailedMount",),
        'configmap "none" not found',
        owner="Pod/",
    ),
    "memory": Broken((LIMITS, "limits: {cpu: 1, memory: 32Mi}"), ("OOMKilled",), "ran out of its memory limit"),
    "crash": Broken(
        ("/weights/SmolLM2-135M-Instruct.Q4_1.gguf", "/weights/no-such-file.gguf"),
        ("CrashLoopBackOff",),
        "container server exited with code",
        signature="gguf-missing",
    ),
    "node": Broken(
        ("{cpu: 20m, memory: 32Mi}, limits: {cpu: 1,", "{cpu: 900, memory: 32Mi}, limits: {cpu: 900,"),
        ("Unschedulable",),
        "Insufficient cpu",
        owner="Pod/",
    ),
    "claim": Broken(
        ("  runtime: llamacpp\n", "  runtime: vllm\n  gpus: 0\n"),
        ("FailedBinding",),
        "no storage class is set",
        owner="PersistentVolumeClaim/weights",
    ),
    "admission": Broken(pod("{hostNetwork: true}"), ("FailedCreate",), "violates PodSecurity", owner="Deployment/"),
    "quota": Broken(
        ("  threads: 1\n", "  threads: 1\n  gpus: 1\n"),
        ("FailedCreate",),
        "exceeded quota: no-gpus",
        owner="Deployment/",
    ),
}


@pytest.fixture(scope="module")
def deployed(node: Cluster, space: str, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """One deploy of all of them and a sound one."""
    catalog = tmp_path_factory.mktemp("causes") / "models.yaml"
    entries = [ENTRY.format(name="sound")]
    for name, broken in BROKEN.items():
        whole = ENTRY.format(name=name)
        if "runtime: vllm" in broken.change[1]:
            whole = whole.replace("  threads: 1\n", "")
        assert broken.change[0] in whole, name
        entries.append(whole.replace(broken.change[0], broken.change[1], 1))
    catalog.write_text(HEAD.format(space=space) + "".join(entries))
    done = Wtsctl(catalog, node.kubeconfig).json(*ANYWAY, "--timeout", "4m", timeout=300)
    assert done.envelope["data"], done.stderr
    yield done
    objects.delete(client, NAMESPACE, "", space)


@pytest.fixture(scope="module")
def models(deployed: Ran) -> dict[str, dict[str, Any]]:
    """What it said of each."""
    return {one["name"]: one for one in deployed.data["models"]}


def test_the_sound_one_goes_on(deployed: Ran, models: dict[str, dict[str, Any]]) -> None:
    """The failures of the others neither stop nor hide the model that starts; the exit code is theirs."""
    assert deployed.code == 5
    assert models["sound"]["verdict"] == "ready"
    assert models["sound"]["secondsFromEvent"] is None
    assert {name for name, one in models.items() if one["verdict"] == "failed"} == set(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_the_cause_is_told_at_once(deployed: Ran, models: dict[str, dict[str, Any]], name: str) -> None:
    """Each is told with the cluster's reason, its owners and a hint, within seconds of the cluster's own word."""
    found, wanted = models[name], BROKEN[name]
    assert found["reason"] in wanted.reasons, found
    assert wanted.message in found["message"]
    assert found["hint"]
    assert found["signature"] == wanted.signature
    assert found["owners"][0] == f"Deployment/{name}"
    assert found["owners"][-1].startswith(wanted.owner)
    assert found["secondsFromEvent"] < AT_ONCE, deployed.stderr
    assert f"{name}: failed: " in deployed.stderr


def test_what_a_slow_server_does(node: Cluster, space: str, deployed: Ran, tmp_path: Path) -> None:
    """Of a server that still loads is said what its own log says: what it does, and how far it is."""
    assert deployed.code == 5
    bar = "Loading safetensors checkpoint shards: %3s%% Completed | %s/30"
    script = "".join(f"printf '{bar}\\n' {100 * done // 30} {done}; " for done in (0, 11, 12))
    change = server(f'command: [sh, -c, "{script}exec sleep 600"], args: []')
    catalog = tmp_path / "models.yaml"
    entry = ENTRY.format(name="slow").replace(*change)
    head = (
        f"apiVersion: wtsctl/v1\nname: {space}-slow\n" + HEAD.format(space=space).partition("\n")[2].partition("\n")[2]
    )
    catalog.write_text(head.partition("cache:")[0] + "platform: {podSecurity: baseline}\nmodels:\n" + entry)
    done = Wtsctl(catalog, node.kubeconfig).json("deploy", "--timeout", "10s")
    assert done.code == 5
    (model,) = done.data["models"]
    assert (model["verdict"], model["phase"]) == ("timed-out", "loading")
    assert model["step"] == "loads the weights, 12 of 30 files"
    assert "not ready within 10 s: slow (loads the weights, 12 of 30 files)" in done.errors[0]["message"]
    assert "slow: loading: loads the weights" in done.stderr
