"""What belongs to a catalog, on a real API server: recorded as kubectl does, listed once it is not wanted, pruned."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster.conftest import namespace
from tests.command import on_a_screen
from tests.sandboxes import CONTROL_PLANE
from wtsctl.cluster import applyset, objects
from wtsctl.cluster.discovery import CLAIM, CONFIG_MAP, DEPLOYMENT, DISRUPTION_BUDGET, SECRET, SERVICE, Kind
from wtsctl.plan.membership import ID, PART_OF, Home, Scope
from wtsctl.sandbox.layout import Layout

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.command import Ran
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

NEVER_WAIT = ("deploy", "--no-wait")
PRUNE = (*NEVER_WAIT, "--prune")
BUDGETS = "platform: {podDisruptionBudgets: on}\n"
NONE = "platform: {podDisruptionBudgets: off}\n"


def there(client: Client, kind: Kind, space: str, name: str) -> bool:
    """Whether an object is there."""
    return any(item["metadata"]["name"] == name for item in objects.list_all(client, kind, space)[0])


def pruned(ran: Ran) -> set[str]:
    """What the plan deletes."""
    plan = ran.data.get("plan") or ran.data
    return {one["identity"] for one in plan["changes"] if one["action"] == "prune"}


def left(ran: Ran) -> dict[str, str]:
    """What stays though it is no longer wanted, each with the reason."""
    plan = ran.data.get("plan") or ran.data
    return {one["identity"]: one["reason"] for one in plan["left"]}


def record(client: Client, space: str) -> Scope:
    """Where the catalog's objects are recorded to be."""
    return applyset.read(client, Home(space, space)).scope


def test_a_removed_model_is_listed_and_pruned_when_asked(catalog: MakeCatalog, client: Client, space: str) -> None:
    """`diff` shows it, a deploy lists and leaves it, `--prune` asks on a terminal and deletes it; all is gone."""
    both = catalog("first", "second", more=BUDGETS, replicas=1)
    assert both.json(*NEVER_WAIT).code == 0
    wtsctl = catalog("first", more=NONE, replicas=1)
    gone = {f"{space}/{kind}/second" for kind in ("Deployment", "Service", "PodDisruptionBudget")}
    gone |= {f"{space}/PodDisruptionBudget/first"}
    differing = wtsctl.json("diff", "--exit-code")
    assert (differing.code, pruned(differing)) == (8, gone)
    assert f"--- live/{space}/Service/second\n+++ /dev/null\n" in wtsctl("diff", "-o", "diff").stdout
    kept = wtsctl.json(*NEVER_WAIT)
    assert kept.code == 0
    assert set(kept.outcomes.values()) == {"unchanged"}
    assert (pruned(kept), left(kept)) == (set(), dict.fromkeys(gone, "not-asked"))
    assert "no longer in the catalog; --prune deletes them:" in kept.stderr
    dry = wtsctl.json("deploy", "--prune", "--dry-run")
    assert {one for one, outcome in dry.outcomes.items() if outcome == "pruned"} == gone
    said = {one["name"]: (one["effect"], one["text"]) for one in dry.data["plan"]["impact"]}
    assert said["second"] == ("stops", "removes second: it no longer answers, 1 pod free")
    code, shown = on_a_screen(wtsctl.arguments(*PRUNE), until=b"[y/N]", keys=b"n\n")
    assert (code, "removes second" in shown) == (130, True)
    assert there(client, DEPLOYMENT, space, "second")
    before = objects.get(client, DEPLOYMENT, space, "first")["metadata"]
    done = wtsctl.json(*PRUNE)
    assert done.code == 0, done.stderr
    assert {one for one, outcome in done.outcomes.items() if outcome == "pruned"} == gone
    assert not any(there(client, kind, space, "second") for kind in (DEPLOYMENT, SERVICE, DISRUPTION_BUDGET))
    after = objects.get(client, DEPLOYMENT, space, "first")["metadata"]
    assert (before["uid"], before["generation"]) == (after["uid"], after["generation"])
    assert ("policy/v1", "PodDisruptionBudget", space) not in record(client, space).lists
    assert wtsctl.json("diff", "--exit-code").code == 0
    assert left(wtsctl.json(*PRUNE)) == {}
    # The record itself goes with the catalog.
    assert wtsctl.json("delete", "--yes").outcomes[f"{space}/ConfigMap/wtsctl-{space}"] == "deleted"


def test_what_is_not_pruned(catalog: MakeCatalog, client: Client, space: str, tmp_path: Path) -> None:
    """Kept by annotation, by an owner, by another manager, and volumes and namespaces; a Secret goes by its name."""
    (tmp_path / "token").write_text("not-a-real-token\n")
    more = f"{BUDGETS}secrets: {{huggingface: {{name: token, key: T, fromFile: token}}}}\n"
    more += "cache: {claim: weights, size: 1Gi}\n"
    more += f"extra:\n- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: far, namespace: {space}-far}}}}\n"
    more += f"- {{apiVersion: v1, kind: Namespace, metadata: {{name: {space}-far}}}}\n"
    old = catalog("annotated", "owned", "stays", more=more, runtime="vllm", model="a/b")
    unchecked = ("--ignore-preflight-errors", "all")
    done = old.json(*NEVER_WAIT, *unchecked)
    assert done.code == 0, done.stderr
    owner = objects.get(client, SERVICE, space, "stays")["metadata"]
    reference = {"apiVersion": "v1", "kind": "Service", "name": "stays", "uid": owner["uid"]}
    merge = "application/merge-patch+json"
    for name, metadata in (
        ("annotated", {"annotations": {"wtsctl.io/prune": "keep"}}),
        ("owned", {"ownerReferences": [reference]}),
    ):
        body = {"metadata": metadata}
        client.exchange("PATCH", DEPLOYMENT.path(space, name), body=body, content_type=merge)
    labels = objects.get(client, SERVICE, space, "stays")["metadata"]["labels"]
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": space}}
    foreign["metadata"] |= {"labels": labels}  # type: ignore[operator]
    objects.apply(client, CONFIG_MAP, foreign, manager="someone")
    # Whose value is not here today is wanted all the same.
    (tmp_path / "token").unlink()
    same = old.json(*PRUNE, *unchecked)
    assert (same.code, pruned(same)) == (0, set()), same.stderr
    new = catalog("stays", more=NONE, runtime="llamacpp")
    done = new.json(*PRUNE)
    assert done.code == 0, done.stderr
    assert f"{space}/Secret/token" in pruned(done)
    assert f"{space}-far/ConfigMap/far" in pruned(done)
    assert left(done) == {
        f"{space}/Deployment/annotated": "kept",
        f"{space}/PersistentVolumeClaim/weights": "never",
        f"Namespace/{space}-far": "never",
    }
    assert f"kubectl delete namespace {space}-far" in done.stderr
    for name in ("annotated", "owned"):
        assert there(client, DEPLOYMENT, space, name)
    assert there(client, CONFIG_MAP, space, "theirs")
    assert not there(client, SECRET, space, "token")
    # What stays is no difference, and is found again.
    again = new.json("diff", "--exit-code")
    assert (again.code, left(again)) == (0, left(done))
    # `delete` takes also what was left where the catalog has nothing any more.
    gone = new.json("delete", "--yes", "--no-wait")
    assert gone.outcomes[f"Namespace/{space}-far"] == "deleted"


def test_what_changed_hands_since_the_question(catalog: MakeCatalog, client: Client, space: str) -> None:
    """While someone is asked one is to be kept, one another catalog's, one deployed again; the rest goes."""
    names = ("goes", "kept", "taken", "again")
    assert catalog("first", *names).json(*NEVER_WAIT).code == 0
    wtsctl = catalog("first")

    def meanwhile() -> None:
        body = {"metadata": {"annotations": {"wtsctl.io/prune": "keep"}}}
        path = DEPLOYMENT.path(space, "kept")
        client.exchange("PATCH", path, body=body, content_type="application/merge-patch+json")
        for name, change in (("taken", {"app.kubernetes.io/part-of": "other"}), ("again", {"team": "x"})):
            found = objects.get(client, SERVICE, space, name)
            metadata = {"name": name, "namespace": space, "labels": found["metadata"]["labels"] | change}
            spec = {"ports": found["spec"]["ports"], "selector": found["spec"]["selector"]}
            doc = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
            objects.apply(client, SERVICE, doc, force=True)

    code, shown = on_a_screen(wtsctl.arguments(*PRUNE), until=b"[y/N]", keys=b"y\n", meanwhile=meanwhile)
    flat = " ".join(shown.split())
    assert code == 0, shown
    assert f"{space}/Deployment/kept stays: since the plan was made an annotation says to keep it" in flat
    assert f"{space}/Service/taken stays: since the plan was made it belongs to someone else" in flat
    assert f"{space}/Service/again stays: another deploy applied it since the plan was made" in flat
    assert {name for name in names if there(client, DEPLOYMENT, space, name)} == {"kept"}
    assert {name for name in names if there(client, SERVICE, space, name)} == {"taken", "again"}
    # What stayed is found again.
    assert left(wtsctl.json(*NEVER_WAIT)) == {
        f"{space}/Deployment/kept": "kept",
        f"{space}/Service/again": "not-asked",
    }


def test_two_catalogs_of_one_name(catalog: MakeCatalog, client: Client, space: str) -> None:
    """With another home, and objects in the same namespace: neither prunes, lists nor deletes what is the other's."""
    extra = "extra:\n- {{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: {name}, namespace: {space}}},"
    extra += " spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}}}\n"
    extra += "- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: {space}}}}}\n"
    unchecked = ("--ignore-preflight-errors", "all")
    mine = catalog("first", more=extra.format(name="mine", space=space))
    assert mine.json(*NEVER_WAIT, *unchecked).code == 0
    text = mine.catalog.read_text()
    other = f"{space}-other"
    swapped = text.replace(f"namespace: {space}\n", f"namespace: {other}\n", 1).replace("name: mine", "name: theirs")
    assert swapped.count(other) == 1, text
    mine.catalog.write_text(swapped)
    theirs = mine.json(*PRUNE, *unchecked)
    assert (theirs.code, pruned(theirs), left(theirs)) == (0, set(), {}), theirs.stderr
    assert mine.json("delete", "--yes", "--no-wait").code == 0
    assert there(client, CONFIG_MAP, space, "mine")
    assert not objects.get(client, CLAIM, space, "mine")["metadata"].get("deletionTimestamp")
    mine.catalog.write_text(text)
    again = mine.json(*PRUNE, *unchecked)
    assert (again.code, pruned(again), left(again)) == (0, set(), {})


def test_a_rollback_prunes_no_secret(catalog: MakeCatalog, client: Client, space: str, tmp_path: Path) -> None:
    """It has no values to bring one back with; the model that came in since goes, and a deploy prunes the Secret."""
    # With a GPU each, of which there is none here.
    fields, unchecked = {"runtime": "vllm", "model": "a/b"}, ("--ignore-preflight-errors", "all")
    before = catalog("first", **fields)
    assert before.json(*NEVER_WAIT, *unchecked).code == 0
    (tmp_path / "token").write_text("not-a-real-token\n")
    more = "secrets: {huggingface: {name: token, key: T, fromFile: token}}\n"
    assert catalog("first", "second", more=more, **fields).json(*NEVER_WAIT, *unchecked).code == 0
    assert there(client, SECRET, space, "token")
    back = before.json("rollback", "1", "--prune", "--no-wait", *unchecked)
    assert back.code == 0, back.stderr
    assert pruned(back) == {f"{space}/Deployment/second", f"{space}/Service/second"}
    assert left(back) == {f"{space}/Secret/token": "spared"}
    assert f"left: {space}/Secret/token (not in what is gone back to" in back.stderr
    assert there(client, SECRET, space, "token")
    assert pruned(before.json(*PRUNE, *unchecked)) == {f"{space}/Secret/token"}


def test_what_never_prunes(catalog: MakeCatalog, client: Client, space: str) -> None:
    """A selection cannot know what is gone; a catalog without models is refused; another tool's set is not touched."""
    assert catalog("first", "second").json(*NEVER_WAIT).code == 0
    wtsctl = catalog("first")
    assert left(wtsctl.json(*NEVER_WAIT, "--only", "models")) == {}
    assert pruned(wtsctl.json("diff", "first")) == set()
    for selection in (("first",), ("--role", "chat"), ("--only", "models")):
        refused = wtsctl.json(*PRUNE, *selection)
        assert (refused.code, "whole catalog" in refused.errors[0]["message"]) == (2, True)
    text = wtsctl.catalog.read_text()
    wtsctl.catalog.write_text(f"{text.partition('models:')[0]}models: []\n")
    empty = wtsctl.json(*PRUNE)
    assert (empty.code, "wtsctl delete" in empty.errors[0]["hint"]) == (3, True)
    assert there(client, DEPLOYMENT, space, "second")
    wtsctl.catalog.write_text(text)
    body = {"metadata": {"annotations": {"applyset.kubernetes.io/tooling": "kubectl/v1.36.3"}}}
    path = CONFIG_MAP.path(space, f"wtsctl-{space}")
    client.exchange("PATCH", path, body=body, content_type="application/merge-patch+json")
    refused = wtsctl.json(*PRUNE)
    assert (refused.code, refused.errors[0]["where"]) == (4, f"{space}/ConfigMap/wtsctl-{space}")
    assert there(client, DEPLOYMENT, space, "second")


def test_what_was_deployed_before_there_were_members(catalog: MakeCatalog, client: Client, space: str) -> None:
    """Without labels of members and without a record: found by the catalog's labels in the kinds that are looked at."""
    namespace(client, space)
    both = catalog("first", "second")
    rendered = subprocess.run(both.arguments("render")[:-2], capture_output=True, text=True, check=True).stdout
    for doc in yaml.safe_load_all(rendered):
        if doc["kind"] in {"Deployment", "Service"}:
            objects.apply(client, DEPLOYMENT if doc["kind"] == "Deployment" else SERVICE, doc)
    done = catalog("first").json(*PRUNE)
    assert done.code == 0, done.stderr
    assert pruned(done) == {f"{space}/Deployment/second", f"{space}/Service/second"}
    assert not there(client, DEPLOYMENT, space, "second")
    assert PART_OF in objects.get(client, DEPLOYMENT, space, "first")["metadata"]["labels"]


def test_the_record_converges_and_costs_one_request(catalog: MakeCatalog, client: Client, forwarder: Forwarder) -> None:
    """As a deploy that was killed before it pruned leaves it: the next finds what is there and shrinks the record."""
    wtsctl = catalog("first", "second", kubeconfig=forwarder.kubeconfig)
    assert wtsctl.json(*NEVER_WAIT).code == 0
    space = yaml.safe_load(wtsctl.catalog.read_text())["name"]
    right = record(client, space)
    wide = right | Scope(frozenset({("v1", "ConfigMap", space)}), frozenset({("v1", "Secret", space, "gone")}))
    applyset.write(client, applyset.read(client, Home(space, space)), wide)
    labels = objects.get(client, SERVICE, space, "first")["metadata"]["labels"]
    orphan: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap"}
    orphan["metadata"] = {"name": "orphan", "namespace": space, "labels": labels}
    objects.apply(client, CONFIG_MAP, orphan)
    first = wtsctl.json(*NEVER_WAIT)
    assert left(first) == {f"{space}/ConfigMap/orphan": "not-asked"}
    # Nothing is under its other name; what is there stays recorded.
    assert record(client, space) == right | Scope(frozenset({("v1", "ConfigMap", space)}))
    assert wtsctl.json(*PRUNE).outcomes[f"{space}/ConfigMap/orphan"] == "pruned"
    assert record(client, space) == right
    forwarder.asked.clear()
    path = CONFIG_MAP.path(space, f"wtsctl-{space}")
    version = client.request("GET", path)["metadata"]["resourceVersion"]
    assert set(wtsctl.json(*NEVER_WAIT).outcomes.values()) == {"unchanged"}
    assert forwarder.asked.count(path) == 1
    assert client.request("GET", path)["metadata"]["resourceVersion"] == version


def test_kubectl_reads_the_set(
    catalog: MakeCatalog, client: Client, control_plane: Path, space: str, tmp_path: Path
) -> None:
    """Refused as another tool's set, and for no other reason: told that it is its own, kubectl finds the members."""
    assert catalog("first", more=BUDGETS).json(*NEVER_WAIT).code == 0
    program = Layout.of(CONTROL_PLANE).state / "bin" / "kubectl"
    (tmp_path / "one.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}")

    def kubectl(*given: str) -> tuple[int, str]:
        call = [str(program), "--kubeconfig", str(control_plane), "-n", space, *given]
        done = subprocess.run(
            call, capture_output=True, text=True, check=False, env=os.environ | {"KUBECTL_APPLYSET": "true"}
        )
        return done.returncode, done.stdout + done.stderr

    parent = f"configmap/wtsctl-{space}"
    members = {f"{kind}/first" for kind in ("deployment.apps", "service", "poddisruptionbudget.policy")}
    identifier = objects.get(client, CONFIG_MAP, space, f"wtsctl-{space}")["metadata"]["labels"][ID]
    code, listed = kubectl("get", "deploy,svc,pdb", "-l", f"{PART_OF}={identifier}", "-o", "name")
    assert (code, set(listed.split())) == (0, members)
    apply = ["apply", "--server-side", "--prune", f"--applyset={parent}", "-f", str(tmp_path / "one.yaml")]
    code, refused = kubectl(*apply)
    assert code == 1
    assert 'is managed by tooling "wtsctl" instead of "kubectl"' in refused
    kubectl("annotate", "--overwrite", parent, "applyset.kubernetes.io/tooling=kubectl/v1.36.3")
    code, told = kubectl(*apply, "--dry-run=server")
    assert code == 0, told
    assert {line.partition(" ")[0] for line in told.splitlines() if " pruned" in line} == members
