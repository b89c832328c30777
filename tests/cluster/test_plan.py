"""`plan` on the nodes and pods of a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.cluster.conftest import namespace
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import NODE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Forwarder, MakeCatalog

pytestmark = pytest.mark.cluster

GPU = "nvidia.com/gpu"
PRODUCT = "NVIDIA-A100-SXM4-80GB"
SPEC: dict[str, Any] = {
    "runtime": "vllm",
    "model": "meta-llama/Llama-3.2-3B-Instruct",
    "maxModelLen": 8192,
    "gpu": f"{{product: {PRODUCT}}}",
    "replicas": 1,
}


@pytest.fixture
def node(client: Client) -> Iterator[str]:
    """A node with two GPUs, as its kubelet would report it."""
    name = f"gpu-{uuid4().hex[:8]}"
    labels = {"nvidia.com/gpu.product": PRODUCT, "test": name}
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
    # No pod of another test may land here: only what tolerates this.
    made["spec"] = {"taints": [{"key": name, "effect": "NoSchedule"}]}
    client.exchange("POST", NODE.path(), body=made)
    has = {"cpu": "64", "memory": "512Gi", "pods": "110", GPU: "2"}
    status = {"status": {"allocatable": has, "capacity": has, "conditions": [{"type": "Ready", "status": "True"}]}}
    client.exchange("PATCH", f"{NODE.path(name=name)}/status", body=status, content_type="application/merge-patch+json")
    yield name
    objects.delete(client, NODE, "", name)


def on(name: str) -> dict[str, str]:
    """What lets a model's pods go to that node, and to no other."""
    return {
        "tolerations": f"[{{key: {name}, operator: Exists}}]",
        "nodeSelector": f"{{test: {name}}}",
    }


def other_pod(client: Client, space: str, node: str, gpus: int) -> None:
    """Somebody else's pod on a node."""
    namespace(client, space)
    limits = {GPU: str(gpus)}
    container = {"name": "c", "image": "x:1", "resources": {"limits": limits}}
    # No kubelet would ever confirm that it has ended.
    spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": spec}
    client.exchange("POST", f"/api/v1/namespaces/{space}/pods", body=pod)


def test_live_nodes(client: Client, catalog: MakeCatalog, space: str, node: str) -> None:
    """Two GPUs take two replicas, and one of them less where another pod holds a GPU."""
    wtsctl = catalog("m", **SPEC | on(node) | {"replicas": 2})
    done = wtsctl.json("plan")
    assert done.code == 0, done.stderr
    found = done.data["models"][0]
    assert found["placement"] == {"verdict": "fits", "replicas": 2, "placed": 2, "nodes": [[node], [node]]}
    assert done.data["nodesFrom"].startswith("https://")
    other_pod(client, space, node, 1)
    done = wtsctl.json("plan")
    assert done.code == 5
    found = done.data["models"][0]
    assert found["placement"]["placed"] == 1
    assert f"{node}: has 0 of the 1 {GPU} left beside the other models" in found["reasons"][0]
    mine = next(one for one in done.data["nodes"] if one["name"] == node)
    assert mine["resources"][0] == {"resource": GPU, "allocatable": 2, "used": 1, "planned": 1}
    remedies = {one["key"]: one["value"] for one in found["remedies"]}
    assert remedies["replicas"] == 1
    assert remedies["otherPods"] == node


def test_the_same_lists_whatever_there_is(
    client: Client, catalog: MakeCatalog, forwarder: Forwarder, space: str, node: str
) -> None:
    """The cluster is asked for its nodes and its pods, once each, and then for lists: for no object of a model."""
    other_pod(client, space, node, 1)
    wtsctl = catalog(*(f"m{at}" for at in range(5)), kubeconfig=forwarder.kubeconfig, **SPEC | on(node))
    assert wtsctl.json("plan").code == 5
    assert [forwarder.asked.count(f"/api/v1/{kind}") for kind in ("nodes", "pods")] == [1, 1]
    namespaced = [path.split("/namespaces/")[1] for path in forwarder.asked if "/namespaces/" in path]
    # What belongs to the catalog is recorded in one place.
    namespaced.remove(f"{space}/configmaps/wtsctl-{space}")
    assert {len(path.split("/")) for path in namespaced} <= {1, 2}
    # Each kind twice: what is ours, and what has the name of ours and is not.
    assert len(namespaced) == 1 + 2 * len({path for path in namespaced if "/" in path})


def test_a_cluster_without_room_and_one_that_is_not_there(
    catalog: MakeCatalog, control_plane: Path, tmp_path: Path
) -> None:
    """Nodes that are not there are exit 5; an API server that is not there is exit 4."""
    wtsctl = catalog("m", **SPEC | on("nowhere"))
    done = wtsctl.json("plan")
    assert (done.code, done.data["models"][0]["memory"]["verdict"]) == (5, "fits")
    text = control_plane.read_text()
    gone = tmp_path / "gone.kubeconfig"
    address = next(line.split("server:")[1].strip() for line in text.splitlines() if "server:" in line)
    gone.write_text(text.replace(address, "https://127.0.0.1:1"))
    assert replace(wtsctl, kubeconfig=gone).json("plan").code == 4
