"""Plans on a real API server: what is found, whose fields are taken, what stops a plan, what `diff` says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import namespace
from tests.command import on_a_screen
from tests.sandboxes import CONTROL_PLANE
from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CLAIM, DEPLOYMENT, SECRET, SERVICE, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.command import Ran, Wtsctl
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
NEVER_WAIT = ("deploy", "--no-wait")


def edit(wtsctl: Wtsctl, before: str, after: str) -> None:
    """Change the catalog."""
    text = wtsctl.catalog.read_text()
    assert before in text
    wtsctl.catalog.write_text(text.replace(before, after, 1))


def by_hand(client: Client, kind: Kind, space: str, name: str, body: dict[str, Any], *, manager: str) -> None:
    """Change an object as another field manager."""
    client.exchange(
        "PATCH",
        kind.path(space, name),
        query={"fieldManager": manager},
        body=body,
        content_type="application/merge-patch+json",
    )


def actions(ran: Ran) -> dict[str, str]:
    """What the plan does with each object that is not left as it is."""
    changes = (ran.data.get("plan") or ran.data)["changes"]
    return {one["identity"]: one["action"] for one in changes if one["action"] != "unchanged"}


def fields(ran: Ran, identity: str) -> dict[str, tuple[Any, Any]]:
    """The fields of one object that differ, before and after."""
    changes = (ran.data.get("plan") or ran.data)["changes"]
    (change,) = (one for one in changes if one["identity"] == identity)
    return {one["path"]: (one["before"], one["after"]) for one in change["fields"]}


def test_the_plan_is_what_is_applied(catalog: MakeCatalog, space: str) -> None:
    """`--dry-run`, `diff` and the deploy itself show the same plan, with its fields and what it means; then nothing."""
    wtsctl = catalog("first", "second", replicas=1)
    assert wtsctl.json(*NEVER_WAIT).code == 0
    edit(wtsctl, "maxModelLen: 512", "maxModelLen: 256")
    dry = wtsctl.json("deploy", "--dry-run")
    assert actions(dry) == {f"{space}/Deployment/first": "configure"}
    args = "spec.template.spec.containers[server].args"
    before, after = fields(dry, f"{space}/Deployment/first")[args]
    assert ("512" in before, "256" in after) == (True, True)
    said = {one["name"]: (one["effect"], one["text"]) for one in dry.data["plan"]["impact"]}
    assert said["first"] == ("restarts", "restarts first: 1 pod, up to 15 min without it")
    # Without a node it has never served.
    assert said["second"][0] == "keeps-down"
    differing = wtsctl.json("diff", "--exit-code")
    assert differing.code == 8
    assert fields(differing, f"{space}/Deployment/first") == fields(dry, f"{space}/Deployment/first")
    done = wtsctl.json(*NEVER_WAIT)
    assert done.data["plan"]["hash"] == dry.data["plan"]["hash"] == differing.data["hash"]
    assert "restarts first: 1 pod" in done.stderr
    assert wtsctl.json("diff", "--exit-code").code == 0


def test_nothing_changed_costs_the_same_for_any_number_of_models(catalog: MakeCatalog, forwarder: Forwarder) -> None:
    """The requests of a second deploy are lists, no PATCH among them, and as many for nine models as for two."""
    asked = []
    for names in (("first", "second"), tuple(f"model-{at}" for at in range(9))):
        wtsctl = catalog(*names, kubeconfig=forwarder.kubeconfig)
        assert wtsctl.json(*NEVER_WAIT).code == 0
        forwarder.asked.clear()
        again = wtsctl.json(*NEVER_WAIT)
        assert set(again.outcomes.values()) == {"unchanged"}
        asked.append(len(forwarder.asked))
    assert asked[0] == asked[1]


def test_edits_by_hand_are_found_and_set_back(catalog: MakeCatalog, client: Client, space: str) -> None:
    """What someone edited with kubectl is shown and set back; what they only added is theirs and stays."""
    wtsctl = catalog("only")
    assert wtsctl.json(*NEVER_WAIT).code == 0
    by_hand(client, SERVICE, space, "only", {"metadata": {"labels": {"team": "x"}}}, manager="kubectl-label")
    by_hand(client, DEPLOYMENT, space, "only", {"spec": {"progressDeadlineSeconds": 77}}, manager="kubectl-edit")
    done = wtsctl.json(*NEVER_WAIT)
    assert done.code == 0
    assert actions(done) == {f"{space}/Deployment/only": "configure"}
    (change,) = (one for one in done.data["plan"]["changes"] if one["action"] == "configure")
    assert change["taken"] == ["spec.progressDeadlineSeconds from kubectl-edit"]
    assert objects.get(client, DEPLOYMENT, space, "only")["spec"]["progressDeadlineSeconds"] != 77
    assert objects.get(client, SERVICE, space, "only")["metadata"]["labels"]["team"] == "x"
    assert actions(wtsctl.json(*NEVER_WAIT)) == {}


def test_what_a_controller_sets_is_not_taken(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Flux would write its own value again: nothing is applied, also of the rest, and the message says what to do."""
    wtsctl = catalog("first", "second")
    assert wtsctl.json(*NEVER_WAIT).code == 0
    by_hand(
        client, DEPLOYMENT, space, "first", {"spec": {"progressDeadlineSeconds": 77}}, manager="kustomize-controller"
    )
    edit(wtsctl, "maxModelLen: 512", "maxModelLen: 256")
    wtsctl.catalog.write_text(wtsctl.catalog.read_text().replace("maxModelLen: 512", "maxModelLen: 256"))
    before = objects.get(client, DEPLOYMENT, space, "second")["metadata"]["generation"]
    refused = wtsctl.json(*NEVER_WAIT)
    assert refused.code == 4
    assert refused.outcomes[f"{space}/Deployment/first"] == "failed"
    assert refused.outcomes[f"{space}/Deployment/second"] == "not-applied"
    assert ".spec.progressDeadlineSeconds" in refused.errors[0]["message"]
    assert "Flux" in refused.errors[0]["hint"]
    assert objects.get(client, DEPLOYMENT, space, "second")["metadata"]["generation"] == before


def test_what_kubectl_applied_is_taken_over_whole(
    catalog: MakeCatalog, client: Client, control_plane: Path, space: str, tmp_path: Path
) -> None:
    """After a real `kubectl apply` of an older manifest: its field and annotation that are no longer wanted go."""
    wtsctl = catalog("only")
    rendered = subprocess.run(wtsctl.arguments("render")[:-2], capture_output=True, text=True, check=True)
    older = tmp_path / "older.yaml"
    older.write_text(
        rendered.stdout.replace("progressDeadlineSeconds:", "minReadySeconds: 7\n  progressDeadlineSeconds:")
    )
    assert "minReadySeconds" in older.read_text()
    kubectl = Layout.of(CONTROL_PLANE).state / "bin" / "kubectl"
    call = [str(kubectl), "--kubeconfig", str(control_plane), "apply", "-f", str(older)]
    subprocess.run(call, check=True, capture_output=True)
    there = objects.get(client, DEPLOYMENT, space, "only")
    assert "kubectl.kubernetes.io/last-applied-configuration" in there["metadata"]["annotations"]
    dry = wtsctl.json("deploy", "--dry-run")
    assert fields(dry, f"{space}/Deployment/only")["spec.minReadySeconds"] == (7, None)
    done = wtsctl.json(*NEVER_WAIT)
    assert done.code == 0, done.stderr
    now = objects.get(client, DEPLOYMENT, space, "only")
    assert "minReadySeconds" not in now["spec"]
    assert "kubectl.kubernetes.io/last-applied-configuration" not in now["metadata"].get("annotations", {})
    assert "kubectl-client-side-apply" not in {one["manager"] for one in now["metadata"]["managedFields"]}
    assert actions(wtsctl.json(*NEVER_WAIT)) == {}


def test_an_autoscaler_gets_the_replicas_as_they_are(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Who no longer sets `replicas` leaves as many pods as there are, and not the default of one."""
    wtsctl = catalog("only", replicas=3)
    assert wtsctl.json(*NEVER_WAIT).code == 0
    patch = "{kind: Deployment, json: [{op: remove, path: /spec/replicas}]}"
    edit(wtsctl, "  runtime:", f"  patches: [{patch}]\n  runtime:")
    done = wtsctl.json(*NEVER_WAIT)
    assert done.code == 0, done.stderr
    now = objects.get(client, DEPLOYMENT, space, "only")
    assert now["spec"]["replicas"] == 3
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 5}}
    path = f"{DEPLOYMENT.path(space, 'only')}/scale"
    client.exchange(
        "PATCH", path, body=scale, content_type="application/merge-patch+json", query={"fieldManager": "hpa"}
    )
    assert actions(wtsctl.json(*NEVER_WAIT)) == {}
    assert objects.get(client, DEPLOYMENT, space, "only")["spec"]["replicas"] == 5


def test_what_cannot_be_changed_is_made_again_on_request(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Another selector: the field is named; with --recreate the object is deleted and made again; a volume is not."""
    namespace(client, space)
    labels = {"app": "someone-elses"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    there = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "only", "namespace": space},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    client.exchange("POST", DEPLOYMENT.path(space), query={"fieldManager": "kubectl-create"}, body=there)
    uid = objects.get(client, DEPLOYMENT, space, "only")["metadata"]["uid"]
    wtsctl = catalog("only")
    refused = wtsctl.json(*NEVER_WAIT)
    assert refused.code == 4
    assert refused.errors[0]["message"].startswith("spec.selector is immutable")
    assert "--recreate deployment/only" in refused.errors[0]["hint"]
    assert wtsctl.json(*NEVER_WAIT, "--recreate", "deployment/nope").code == 9
    done = wtsctl.json(*NEVER_WAIT, "--recreate", "only")
    assert done.code == 0, done.stderr
    assert done.outcomes[f"{space}/Deployment/only"] == "recreated"
    assert objects.get(client, DEPLOYMENT, space, "only")["metadata"]["uid"] != uid


def test_a_volume_is_made_again_only_by_its_name(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Neither its model's name nor another object's is enough; what says its own name is deleted with its data."""
    wtsctl = catalog("only", runtime="vllm", gpus=0, more="cache: {claim: weights, size: 2Gi}\n")
    anyway = (*NEVER_WAIT, "--ignore-preflight-errors", "storage-class")
    assert wtsctl.json(*anyway).code == 0
    uid = objects.get(client, CLAIM, space, "weights")["metadata"]["uid"]
    edit(wtsctl, "size: 2Gi", "size: 1Gi")
    for again in ((), ("--recreate", "only"), ("--recreate", "deployment/only")):
        refused = wtsctl.json(*anyway, *again)
        assert refused.code == 4
        assert refused.errors[0]["where"] == f"{space}/PersistentVolumeClaim/weights"
        assert "--recreate persistentvolumeclaim/weights deletes it, with the data on it" in refused.errors[0]["hint"]
    assert objects.get(client, CLAIM, space, "weights")["metadata"]["uid"] == uid
    done = wtsctl.json(*anyway, "--recreate", "persistentvolumeclaim/weights")
    assert done.code == 0, done.stderr
    assert done.outcomes[f"{space}/PersistentVolumeClaim/weights"] == "recreated"
    claim = objects.get(client, CLAIM, space, "weights")
    assert claim["metadata"]["uid"] != uid
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_a_person_is_asked_and_the_plan_is_checked_again(catalog: MakeCatalog, client: Client, space: str) -> None:
    """On a terminal: no is nothing applied; a yes to a plan that no longer holds is refused with what has changed."""
    wtsctl = catalog("only", replicas=1)
    assert wtsctl.json(*NEVER_WAIT).code == 0
    edit(wtsctl, "maxModelLen: 512", "maxModelLen: 256")
    before = objects.get(client, DEPLOYMENT, space, "only")["metadata"]["generation"]
    code, shown = on_a_screen(wtsctl.arguments(*NEVER_WAIT), until=b"apply?", keys=b"n\n")
    assert code == 130
    assert "restarts only: 1 pod" in shown
    assert "nothing was applied" in shown

    def meanwhile() -> None:
        by_hand(client, DEPLOYMENT, space, "only", {"spec": {"progressDeadlineSeconds": 77}}, manager="kubectl-edit")

    code, shown = on_a_screen(wtsctl.arguments(*NEVER_WAIT), until=b"apply?", keys=b"y\n", meanwhile=meanwhile)
    assert code == 4
    assert "changed since the plan was made: spec.progressDeadlineSeconds" in shown
    assert objects.get(client, DEPLOYMENT, space, "only")["metadata"]["generation"] == before + 1
    code, shown = on_a_screen(wtsctl.arguments(*NEVER_WAIT), until=b"apply?", keys=b"y\n")
    assert code == 0
    assert "1 configured" in shown


def test_diff_breaks_on_nothing_and_shows_no_secret(
    catalog: MakeCatalog, client: Client, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace and a kind that are not there are created; a Secret's value is masked in every form."""
    more = "secrets:\n  huggingface: {name: token, key: HF_TOKEN, fromEnv: WTSCTL_TEST_TOKEN}\n"
    wtsctl = catalog("plain", runtime="vllm", model="org/model", more=more)
    edit(
        wtsctl, "models:\n", "extra:\n- {apiVersion: nobody.example/v1, kind: Unheard, metadata: {name: x}}\nmodels:\n"
    )
    monkeypatch.setenv("WTSCTL_TEST_TOKEN", "first-value")
    missing = wtsctl.json("diff", "--exit-code")
    assert missing.code == 8
    assert set(actions(missing).values()) == {"create"}
    namespace(client, space)
    kinds = {one["identity"]: one["note"] for one in wtsctl.json("diff").data["changes"]}
    assert "its kind does not exist yet" in kinds[f"{space}/Unheard/x"]
    labels = {"app.kubernetes.io/part-of": space, "app.kubernetes.io/managed-by": "wtsctl"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": space, "labels": labels},
        "stringData": {"HF_TOKEN": "older-value"},
    }
    objects.apply(client, SECRET, secret)
    for form in ("table", "diff", "json"):
        shown = wtsctl("diff", "-o", form)
        assert shown.code == 0, shown.stderr
        assert "*** (after)" in shown.stdout
        for value in ("first-value", "older-value", "Zmlyc3QtdmFsdWU", "b2xkZXItdmFsdWU"):
            assert value not in shown.stdout + shown.stderr
        assert "managedFields" not in shown.stdout


def test_a_kind_and_its_objects_in_one_deploy(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A CustomResourceDefinition under `extra` is served before its objects are applied."""
    group = f"{space}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "one"}}
    wtsctl = catalog("only")
    edit(wtsctl, "models:\n", f"extra:\n- {json.dumps(crd)}\n- {json.dumps(thing)}\nmodels:\n")
    try:
        done = wtsctl.json(*NEVER_WAIT)
        assert done.code == 0, done.stderr
        assert done.outcomes[f"{space}/Thing/one"] == "created"
        assert set(wtsctl.json(*NEVER_WAIT).outcomes.values()) == {"unchanged"}
    finally:
        try:
            objects.delete(client, CRD, "", f"things.{group}")
        except ApiRefused as error:
            assert error.status == 404, error  # noqa: PT017 - what was not made need not go


def test_selection_by_role_and_stage(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Only models of a role, only one stage; what selects nothing is exit 9 and touches nothing."""
    wtsctl = catalog("first", "second")
    edit(wtsctl, "role: chat", "role: code")
    assert wtsctl.json("deploy", "--role", "safety").code == 9
    assert wtsctl.json("deploy", "--only", "agents").code == 9
    assert wtsctl.json(*NEVER_WAIT, "--only", "namespace").outcomes == {f"Namespace/{space}": "created"}
    done = wtsctl.json(*NEVER_WAIT, "--role", "code", "--only", "models")
    assert {name.rpartition("/")[2] for name in done.outcomes} == {"first"}
    assert {one["metadata"]["name"] for one in objects.list_all(client, DEPLOYMENT, space)[0]} == {"first"}
