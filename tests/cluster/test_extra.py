"""`extra` and `patches` on a real API server: what is deployed, where it lies, and that delete takes all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CONFIG_MAP, DEPLOYMENT, Kind
from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from tests.cluster.conftest import MakeCatalog
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

CLASSES = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
CRON_JOBS = Kind("batch/v1", "CronJob", "cronjobs")


def extra(space: str) -> str:
    """Objects of kinds that wtsctl renders itself, and of kinds that it never does, one of them in no namespace."""
    return f"""extra:
- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: notes}}, data: {{a: "yes"}}}}
- apiVersion: batch/v1
  kind: CronJob
  metadata: {{name: nightly, namespace: null}}
  spec:
    schedule: "0 3 * * *"
    suspend: true
    jobTemplate: {{spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: "x:1"}}]}}}}}}}}
- {{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: {space}}}, provisioner: example.org/none}}
"""


def test_extra_objects_and_patches_are_deployed_and_deleted(catalog: MakeCatalog, client: Client, space: str) -> None:
    """One deploy makes them with our labels, a second changes nothing, and delete leaves none of them."""
    patch = "[{kind: Deployment, merge: {spec: {template: {spec: {schedulerName: mine}}}}}]"
    wtsctl = catalog("only", more=extra(space), patches=patch)
    done = wtsctl.json("deploy", "--no-wait")
    assert done.code == 0, done.stderr
    own = {f"{space}/ConfigMap/notes", f"{space}/CronJob/nightly", f"StorageClass/{space}"}
    assert {name: done.outcomes[name] for name in own} == dict.fromkeys(own, "created")
    assert objects.get(client, DEPLOYMENT, space, "only")["spec"]["template"]["spec"]["schedulerName"] == "mine"
    assert objects.get(client, CONFIG_MAP, space, "notes")["data"] == {"a": "yes"}
    again = wtsctl.json("deploy", "--no-wait")
    assert {again.outcomes[name] for name in own} == {"unchanged"}
    gone = wtsctl.json("delete", "--yes")
    assert gone.code == 0, gone.stderr
    assert {gone.outcomes.get(name) for name in own} == {"deleted"}
    for kind, namespace, name in ((CONFIG_MAP, space, "notes"), (CRON_JOBS, space, "nightly"), (CLASSES, "", space)):
        with pytest.raises(ApiRefused) as refused:
            objects.get(client, kind, namespace, name)
        assert refused.value.status == 404


def test_extra_objects_stay_where_models_are_named(catalog: MakeCatalog, client: Client, space: str) -> None:
    """With names of models, deploy leaves them out and delete leaves them there."""
    wtsctl = catalog("first", "second", more=extra(space))
    assert f"{space}/ConfigMap/notes" not in wtsctl.json("deploy", "--no-wait", "first").outcomes
    assert wtsctl.json("deploy", "--no-wait").code == 0
    gone = wtsctl.json("delete", "--yes", "first")
    assert f"{space}/Deployment/first" in gone.outcomes
    assert f"{space}/ConfigMap/notes" not in gone.outcomes
    assert objects.get(client, CONFIG_MAP, space, "notes")
    assert wtsctl.json("delete", "--yes").code == 0
