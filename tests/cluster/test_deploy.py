"""`deploy` on a real API server: what is applied, what is said about it, and what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import namespace, quota
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CLAIM, CONFIG_MAP, DEPLOYMENT, NAMESPACE

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster


def exists(client: Client, name: str) -> bool:
    """Whether there is a namespace of this name."""
    return any(one["metadata"]["name"] == name for one in objects.list_all(client, NAMESPACE)[0])


def test_created_then_unchanged_then_configured(catalog: MakeCatalog, space: str) -> None:
    """Each run says truly what it changed: everything, nothing, and the one object that differs."""
    wtsctl = catalog()
    first = wtsctl.json("deploy")
    assert first.code == 0, first.stderr
    assert set(first.outcomes) == {
        f"Namespace/{space}",
        *(f"{space}/{kind}/{name}" for kind in ("Service", "Deployment") for name in ("first", "second")),
    }
    assert set(first.outcomes.values()) == {"created"}
    assert [one["verdict"] for one in first.data["models"]] == ["ready", "ready"]
    again = wtsctl.json("deploy")
    assert again.code == 0
    assert set(again.outcomes.values()) == {"unchanged"}
    wtsctl.catalog.write_text(wtsctl.catalog.read_text().replace("maxModelLen: 512", "maxModelLen: 256", 1))
    changed = wtsctl.json("deploy")
    assert {name for name, outcome in changed.outcomes.items() if outcome == "configured"} == {
        f"{space}/Deployment/first"
    }
    assert list(changed.outcomes.values()).count("unchanged") == 4


def test_only_the_named_models(catalog: MakeCatalog, space: str) -> None:
    """With names, other models are not touched; a name that matches nothing is exit 9 and touches nothing."""
    wtsctl = catalog()
    assert wtsctl.json("deploy", "nonsense").code == 9
    done = wtsctl.json("deploy", "sec*")
    assert done.code == 0
    assert set(done.outcomes) == {f"Namespace/{space}", f"{space}/Service/second", f"{space}/Deployment/second"}


def test_a_dry_run_changes_nothing(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Nothing is there after a dry run; afterwards it finds what a deploy would change."""
    wtsctl = catalog("only")
    dry = wtsctl.json("deploy", "--dry-run")
    assert dry.code == 0
    assert dry.data["dryRun"] is True
    assert set(dry.outcomes.values()) == {"created"}
    assert "does not exist yet" in dry.data["objects"][1]["note"]
    assert not exists(client, space)
    wtsctl("deploy")
    before = objects.get(client, DEPLOYMENT, space, "only")
    wtsctl.catalog.write_text(wtsctl.catalog.read_text().replace("maxModelLen: 512", "maxModelLen: 256"))
    dry = wtsctl.json("deploy", "--dry-run")
    assert dry.outcomes[f"{space}/Deployment/only"] == "configured"
    assert objects.get(client, DEPLOYMENT, space, "only") == before


def test_the_dry_run_is_checked_by_the_server(catalog: MakeCatalog, client: Client, space: str) -> None:
    """What the API server would refuse, a dry run finds: another selector on a Deployment that is there."""
    namespace(client, space)
    labels = {"app": "someone-elses"}
    there = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "only", "namespace": space},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
        },
    }
    client.exchange("POST", DEPLOYMENT.path(space), query={"fieldManager": "someone-else"}, body=there)
    done = catalog("only").json("deploy", "--dry-run", "--force-conflicts")
    assert done.code == 4
    assert done.outcomes[f"{space}/Deployment/only"] == "failed"
    problem = next(one for one in done.errors if one["where"] == f"{space}/Deployment/only")
    assert "spec.selector" in problem["message"]
    assert "immutable" in problem["message"]
    assert objects.get(client, DEPLOYMENT, space, "only")["spec"]["selector"] == {"matchLabels": labels}


def test_a_conflict_names_field_and_owner(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A field that another tool owns is not overwritten unless asked, and the message says whose it is."""
    wtsctl = catalog("only")
    wtsctl("deploy")
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "only", "namespace": space},
        "spec": {"revisionHistoryLimit": 3, "replicas": 0, "progressDeadlineSeconds": 77},
    }
    client.exchange(
        "PATCH",
        DEPLOYMENT.path(space, "only"),
        query={"fieldManager": "someone-else", "force": "true"},
        body=other,
        content_type="application/apply-patch+yaml",
    )
    refused = wtsctl.json("deploy")
    assert refused.code == 4
    problem = next(one for one in refused.errors if one["where"] == f"{space}/Deployment/only")
    assert ".spec.progressDeadlineSeconds" in problem["message"]
    assert "someone-else" in problem["message"]
    assert "--force-conflicts" in problem["hint"]
    assert objects.get(client, DEPLOYMENT, space, "only")["spec"]["progressDeadlineSeconds"] == 77
    forced = wtsctl.json("deploy", "--force-conflicts")
    assert forced.code == 0
    now = objects.get(client, DEPLOYMENT, space, "only")["spec"]
    assert now["progressDeadlineSeconds"] != 77
    assert now["revisionHistoryLimit"] == 3


def test_a_missing_crd_stops_before_anything(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Without KServe nothing is applied, not even the namespace, and one problem says what is missing and why."""
    done = catalog("plain", "served", runtime="kserve", model="org/model", replicas=1).json("deploy")
    assert done.code == 4
    assert len(done.errors) == 1
    assert "InferenceService of serving.kserve.io/v1beta1" in done.errors[0]["message"]
    assert "KServe" in done.errors[0]["hint"]
    assert done.errors[0]["where"] == "needed by plain, served"
    assert not exists(client, space)


def test_a_namespace_that_is_being_deleted(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A terminating namespace is found before anything is applied, with what holds it up."""
    namespace(client, space)
    held: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": space, "finalizers": ["example.com/test"]},
    }
    objects.apply(client, CONFIG_MAP, held)
    objects.delete(client, NAMESPACE, "", space)
    try:
        done = catalog().json("deploy")
        assert done.code == 4
        assert done.data is None
        assert done.errors[0]["where"] == f"Namespace/{space}"
        assert "being deleted" in done.errors[0]["message"]
    finally:
        held["metadata"] = {"name": "held", "namespace": space, "finalizers": []}
        objects.apply(client, CONFIG_MAP, held)


def test_someone_elses_namespace_is_used_and_left_as_it_is(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A namespace that was there gets no labels of ours, by which `delete` would take it for its own."""
    namespace(client, space, labels={"team": "workshops"})
    done = catalog().json("deploy")
    assert done.code == 0
    assert done.outcomes[f"Namespace/{space}"] == "unchanged"
    labels = objects.get(client, NAMESPACE, "", space)["metadata"]["labels"]
    assert labels == {"team": "workshops", "kubernetes.io/metadata.name": space}


def test_someone_elses_volume_is_used_and_never_deleted(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A claim that was there gets no labels of ours, and neither a deploy nor a delete changes it."""
    namespace(client, space)
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "7Gi"}}}
    theirs = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "weights", "namespace": space},
        "spec": spec,
    }
    client.exchange("POST", CLAIM.path(space), query={"fieldManager": "someone-else"}, body=theirs)
    before = objects.get(client, CLAIM, space, "weights")
    wtsctl = catalog("only", runtime="vllm", model="org/model", more="cache: {claim: weights, size: 1Gi}\n")
    done = wtsctl.json("deploy", "--no-wait")
    assert done.code == 0
    assert done.outcomes[f"{space}/PersistentVolumeClaim/weights"] == "unchanged"
    gone = wtsctl.json("delete", "--yes")
    assert gone.code == 0
    assert f"{space}/PersistentVolumeClaim/weights" not in gone.outcomes
    assert objects.get(client, CLAIM, space, "weights") == before


def test_another_catalogs_objects_are_not_taken_over(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Two catalogs with a model of one name in one namespace: the second is refused, unless it is forced."""
    first = catalog("only")
    assert first("deploy", "--no-wait").code == 0
    second = catalog("only")
    second.catalog.write_text(second.catalog.read_text().replace(f"name: {space}", "name: another", 1))
    refused = second.json("deploy", "--no-wait")
    assert refused.code == 4
    assert refused.data is None
    assert {one["where"] for one in refused.errors} == {f"{space}/Service/only", f"{space}/Deployment/only"}
    assert f"belongs to the catalog '{space}'" in refused.errors[0]["message"]
    part_of = objects.get(client, DEPLOYMENT, space, "only")["metadata"]["labels"]["app.kubernetes.io/part-of"]
    assert part_of == space
    forced = second.json("deploy", "--no-wait", "--force-conflicts")
    assert forced.code == 0
    assert forced.outcomes[f"{space}/Deployment/only"] == "configured"
    assert forced.outcomes[f"Namespace/{space}"] == "unchanged"


def test_a_failing_stage_is_the_last(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Where the volume is refused, no model is applied, and the result says which objects are there and which not."""
    namespace(client, space)
    quota(client, space, {"persistentvolumeclaims": "0"})
    wtsctl = catalog("only", runtime="vllm", model="org/model", more="cache: {claim: weights, size: 1Gi}\n")
    # As where the quota becomes too small between the checks and the apply.
    done = wtsctl.json("deploy", "--ignore-preflight-errors", "all")
    assert done.code == 4
    assert done.outcomes == {
        f"Namespace/{space}": "unchanged",
        f"{space}/PersistentVolumeClaim/weights": "failed",
        f"{space}/Service/only": "not-applied",
        f"{space}/Deployment/only": "not-applied",
    }
    assert any("exceeded quota" in one["message"] for one in done.errors)
    assert any(one["code"] == "deploy.not-applied" and f"{space}/Service/only" in one["message"] for one in done.errors)


def test_what_does_not_fit_ends_the_wait_early(catalog: MakeCatalog) -> None:
    """A pod that no node takes, where no autoscaler adds one, fails with the scheduler's words before the timeout."""
    done = catalog("huge", replicas=1, runtime="vllm", model="org/model", gpus=64).json("deploy", "--timeout", "60s")
    assert done.code == 5
    assert done.seconds < 45
    model = done.data["models"][0]
    assert (model["verdict"], model["phase"], model["reason"]) == ("failed", "failed", "Unschedulable")
    assert "nodes" in model["message"]
    assert model["secondsFromEvent"] < 10


def test_what_may_still_start_is_named_at_the_timeout(catalog: MakeCatalog) -> None:
    """What is not ready in time, and has not failed either, is exit 5 with its last reason."""
    done = catalog("huge", replicas=1, runtime="vllm", model="org/model", gpus=64).json("deploy", "--timeout", "0.1s")
    assert done.code == 5
    assert done.data["models"][0]["verdict"] == "timed-out"
    assert "huge (" in done.errors[0]["message"]


def test_a_pod_that_may_not_be_made_ends_the_wait_early(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A quota that refuses the pod is a failure with the controller's message, long before the timeout."""
    namespace(client, space)
    quota(client, space, {"pods": "0"})
    done = catalog("only", replicas=1).json("deploy", "--timeout", "90s", "--ignore-preflight-errors", "quota")
    assert done.code == 5
    assert done.seconds < 45
    assert done.data["models"][0]["verdict"] == "failed"
    assert "exceeded quota" in done.data["models"][0]["message"]


def test_ctrl_c_says_that_everything_was_applied(catalog: MakeCatalog, space: str) -> None:
    """Ctrl-C during the wait is exit 130 with one JSON document, and a second deploy goes on."""
    wtsctl = catalog("huge", replicas=1, runtime="vllm", model="org/model", gpus=64)
    stopped = wtsctl.interrupted("deploy", when="huge: scheduling")
    assert stopped.code == 130
    assert set(stopped.outcomes.values()) == {"created"}
    assert "second deploy waits again" in stopped.errors[0]["message"]
    again = wtsctl.json("deploy", "--no-wait")
    assert again.code == 0
    assert again.outcomes[f"{space}/Deployment/huge"] == "unchanged"


def test_ctrl_c_while_applying(catalog: MakeCatalog, forwarder: Forwarder, space: str) -> None:
    """What was under way is finished and told, the rest is named as not applied, and a second deploy does it."""
    wtsctl = catalog("first", "second", "third", kubeconfig=forwarder.kubeconfig)
    forwarder.patch_seconds = 0.4
    stopped = wtsctl.interrupted("deploy", "-v", "--parallel", "1", when=f"{space}/Deployment/first created")
    assert stopped.code == 130
    outcomes = list(stopped.outcomes.values())
    assert outcomes.count("created") >= 3
    assert outcomes.count("not-applied") >= 1
    assert set(outcomes) == {"created", "not-applied"}
    left = next(one["message"] for one in stopped.errors if one["code"] == "deploy.not-applied")
    assert f"{space}/Deployment/third" in left
    forwarder.patch_seconds = 0
    again = wtsctl.json("deploy", "--no-wait")
    assert again.code == 0
    # What was said of each object is true: those that were created are there, and no others.
    before = {name for name, outcome in stopped.outcomes.items() if outcome == "created"}
    assert {name for name, outcome in again.outcomes.items() if outcome == "created"} == set(again.outcomes) - before


def test_lines_without_a_terminal(catalog: MakeCatalog) -> None:
    """In a pipe stdout is the table alone, and stderr has whole lines without control codes."""
    done = catalog()("deploy")
    assert done.code == 0
    assert done.stdout.splitlines()[0].split() == ["MODEL", "RUNTIME", "RESULT", "PHASE", "PODS", "TIME"]
    assert "\x1b" not in done.stdout + done.stderr
    assert "applied: 5 created" in done.stderr
    quiet = catalog()("deploy", "--quiet")
    assert quiet.stderr == ""
