"""What only KServe can say ends the wait: on an API server with its own definitions, its status written by hand."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.command import Wtsctl
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import INFERENCE_SERVICE, NAMESPACE
from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.cluster

CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
models:
- name: granite
  runtime: kserve
  model: ibm-granite/granite-3.1-8b-instruct
  role: code
  maxModelLen: 8192
  resources: {{requests: {{cpu: 1, memory: 1Gi}}, limits: {{cpu: 1, memory: 1Gi}}}}
"""
SPOKEN = "No runtime found to support specified framework/version"
STATUS = {
    "modelStatus": {
        "transitionStatus": "InvalidSpec",
        "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
        "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": SPOKEN},
    },
    "conditions": [{"type": "Ready", "status": "False"}],
}


def refuse(client: Client, space: str) -> None:
    """Write what KServe's controller writes about a spec that it makes nothing of, once there is one."""
    path = f"{INFERENCE_SERVICE.path(space, 'granite')}/status"
    for _ in range(200):
        with contextlib.suppress(ApiRefused):
            client.exchange("PATCH", path, body={"status": STATUS}, content_type="application/merge-patch+json")
            break
        time.sleep(0.1)


def test_a_spec_that_kserve_makes_nothing_of(every_kind: Cluster, tmp_path: Path) -> None:
    """Its reason and message end the wait, within seconds of its word."""
    space = f"kserve-{uuid4().hex[:8]}"
    file = tmp_path / "models.yaml"
    file.write_text(CATALOG.format(space=space))
    client = Client(connect(every_kind.kubeconfig))
    controller = threading.Thread(target=refuse, args=(client, space))
    controller.start()
    done = Wtsctl(file, every_kind.kubeconfig).json("deploy", "--timeout", "60s")
    controller.join()
    objects.delete(client, NAMESPACE, "", space)
    assert done.code == 5, done.stderr
    (model,) = done.data["models"]
    assert (model["verdict"], model["reason"], model["message"]) == ("failed", "NoSupportingRuntime", SPOKEN)
    assert model["hint"]
    assert model["secondsFromEvent"] < 5.0
