"""A model over several nodes on an API server with LeaderWorkerSet's own definition, and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.command import Wtsctl
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import LEADER_WORKER_SET, NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.cluster

CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
  images: {{vllm: "vllm/vllm-openai:v0.33.0"}}
models:
- name: large
  runtime: vllm
  model: meta-llama/Llama-3.1-405B-Instruct-FP8
  role: chat
  parallel: {{tensor: 8, pipeline: 2}}
  maxModelLen: 8192
  resources: {{requests: {{cpu: 4, memory: 16Gi}}, limits: {{cpu: 8, memory: 16Gi}}}}
"""


def catalog(folder: Path) -> tuple[Path, str]:
    """A catalog in a namespace of its own, and the namespace."""
    space = f"nodes-{uuid4().hex[:8]}"
    path = folder / "models.yaml"
    path.write_text(CATALOG.format(space=space))
    return path, space


def test_deploy_status_and_delete_know_the_set(every_kind: Cluster, tmp_path: Path) -> None:
    """It is applied, it is on its way and not missing while nobody has made its pods, and it goes with the rest."""
    file, space = catalog(tmp_path)
    wtsctl, client = Wtsctl(file, every_kind.kubeconfig), Client(connect(every_kind.kubeconfig))
    deployed = wtsctl.json("deploy", "--no-wait")
    assert deployed.code == 0, deployed.stderr
    assert deployed.outcomes[f"{space}/LeaderWorkerSet/large"] == "created"
    assert set(wtsctl.json("deploy", "--no-wait").outcomes.values()) == {"unchanged"}
    status = wtsctl.json("status")
    (model,) = status.data["models"]
    assert (status.code, model["phase"], model["reason"]) == (5, "pending", "Updating")
    assert model["message"] == "0 of 1 groups are of the new revision"
    assert model["pods"]["wanted"] == 2
    deleted = wtsctl.json("delete", "large", "--yes", "--no-wait")
    assert deleted.code == 0, deleted.stderr
    assert deleted.outcomes[f"{space}/LeaderWorkerSet/large"] == "deleted"
    left = [
        one
        for one in objects.list_all(client, LEADER_WORKER_SET, space)[0]
        if "deletionTimestamp" not in one["metadata"]
    ]
    assert left == []
    objects.delete(client, NAMESPACE, "", space)


def test_a_cluster_without_the_kind_is_told_so(control_plane: Path, tmp_path: Path) -> None:
    """Before anything is applied: which kind is missing, and for which model."""
    file, _ = catalog(tmp_path)
    done = Wtsctl(file, control_plane).json("deploy", "--no-wait")
    assert done.code == 4
    (error,) = done.errors
    assert "leaderworkerset.x-k8s.io/v1" in error["message"]
    assert error["where"] == "needed by large"
