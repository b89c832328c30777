"""The set of a catalog's objects: its id, its parent, its members, and what of them may be pruned."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.commands.belongings import Belongings, recorded_too
from wtsctl.errors import ClusterRefused, TemplateError
from wtsctl.plan.changes import Action
from wtsctl.plan.impact import Effect, Served, removals
from wtsctl.plan.membership import (
    ID,
    PART_OF,
    Home,
    Scope,
    applyset_id,
    is_current,
    is_other,
    member,
    parent,
    places,
    recorded,
)
from wtsctl.plan.prune import KEEP, Reason, Standing, left, model_of, objection, removed, standing

HOME = Home("demo", "llama-serve")
SCOPE = Scope(
    frozenset(
        {("apps/v1", "Deployment", "llama-serve"), ("v1", "Service", "safety"), ("v1", "Service", "llama-serve")}
    ),
    frozenset(
        {
            ("v1", "Secret", "keys", "token"),
            ("v1", "Namespace", "", "safety"),
            ("scheduling.k8s.io/v1", "PriorityClass", "", "models"),
        }
    ),
)


def test_the_id_is_that_of_kubectl() -> None:
    """The expected value is what kubectl 1.36 wrote for `--applyset=configmap/wtsctl-demo -n llama-serve`."""
    assert HOME.id == "applyset-mO9b9bwClhA_GMAzcVNU1De4PbaiI-uYeYiqsBXUy-k-v1"
    assert applyset_id("wtsctl-demo", "other") != HOME.id


def test_the_parent_says_where_members_are_and_is_read_back() -> None:
    """Kinds and further namespaces are sorted lists; what is never a member is in neither, and yet found again."""
    doc = parent(HOME, SCOPE)
    metadata = doc["metadata"]
    assert (metadata["name"], metadata["namespace"], metadata["labels"][ID]) == ("wtsctl-demo", "llama-serve", HOME.id)
    assert metadata["annotations"] == {
        "applyset.kubernetes.io/tooling": "wtsctl/v1",
        "applyset.kubernetes.io/contains-group-kinds": "Deployment.apps,PriorityClass.scheduling.k8s.io,Secret,Service",
        "applyset.kubernetes.io/additional-namespaces": "keys,safety",
    }
    assert recorded(doc, HOME) == SCOPE
    assert recorded(parent(HOME, Scope()), HOME) == Scope()
    assert PART_OF not in metadata["labels"]
    # `delete MODEL` goes by this one.
    assert "app.kubernetes.io/instance" not in metadata["labels"]


def test_nothing_is_written_where_the_parent_is_right() -> None:
    """What others add is no difference; a kind more or less, or a changed label is."""
    doc = parent(HOME, SCOPE)
    there = {**doc, "metadata": {**doc["metadata"], "labels": {**doc["metadata"]["labels"], "team": "x"}, "uid": "1"}}
    assert is_current(there, doc)
    assert not is_current(None, doc)
    assert not is_current(there, parent(HOME, SCOPE | Scope(frozenset({("v1", "ConfigMap", "safety")}))))
    there["metadata"]["labels"][ID] = "x"
    assert not is_current(there, doc)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"labels": {}, "annotations": {}}, "was not made by wtsctl"),
        ({"annotations": {"applyset.kubernetes.io/tooling": "kubectl/v1.37.1"}}, "another tool, 'kubectl/v1.37.1'"),
        ({"annotations": {"applyset.kubernetes.io/tooling": "wtsctl/v2"}}, "newer wtsctl"),
        ({"labels": {ID: "applyset-x-v1"}}, "should be"),
    ],
)
def test_a_parent_that_is_not_ours_is_refused(change: dict[str, Any], text: str) -> None:
    """A tool does not touch the set of another, and says what to do."""
    doc = parent(HOME, SCOPE)
    with pytest.raises(ClusterRefused, match=text) as refused:
        recorded({**doc, "metadata": {**doc["metadata"], **change}}, HOME)
    (problem,) = refused.value.problems
    assert text in problem.message
    assert problem.where == "llama-serve/ConfigMap/wtsctl-demo"
    assert problem.hint


@pytest.mark.parametrize("lines", ["apps/v1 Deployment", "v1  Service x", "v1 Secret token"])
def test_a_parent_that_cannot_be_read_is_refused(lines: str) -> None:
    """Someone edited it: said with the line, instead of forgetting what it is about."""
    doc = parent(HOME, Scope())
    key = "named" if "Secret" in lines else "lists"
    with pytest.raises(ClusterRefused, match="cannot be read"):
        recorded({**doc, "data": {key: f"{lines}\n"}}, HOME)


def manifest(kind: str, **labels: str) -> dict[str, Any]:
    """An object with pods of its own."""
    spec = {"template": {"metadata": {"labels": {"a": "b"}}}}
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "s", "labels": labels},
        "spec": spec,
    }


def test_members_carry_the_label_and_their_pods_do_not() -> None:
    """Only on the object itself, or pods would restart; the manifest that is given stays as it was."""
    doc = manifest("Deployment", a="b")
    made = member(doc, HOME)
    assert made["metadata"]["labels"] == {"a": "b", PART_OF: HOME.id}
    assert made["spec"] == doc["spec"]
    assert PART_OF not in doc["metadata"]["labels"]
    assert member(made, HOME) == made


@pytest.mark.parametrize("kind", ["Namespace", "PersistentVolumeClaim", "CustomResourceDefinition", "InferenceService"])
def test_what_is_no_member(kind: str) -> None:
    """What no tool is to prune, and what gives its labels to its pods, as KServe does."""
    assert member(manifest(kind), HOME) == manifest(kind)


def test_an_object_of_another_set_is_refused() -> None:
    """KEP-3659: an object belongs to one set at most."""
    with pytest.raises(TemplateError, match="belongs to one set"):
        member(manifest("Service", **{PART_OF: "applyset-other-v1"}), HOME)


def test_what_is_listed_and_what_is_asked_for_by_name() -> None:
    """What may be listed by its kind and namespace, the rest with its name."""
    found = [manifest("Service"), manifest("Secret"), {**manifest("Namespace"), "metadata": {"name": "s"}}]
    assert places(found, by_name={"Secret"}) == Scope(
        frozenset({("v1", "Service", "s")}), frozenset({("v1", "Secret", "s", "x"), ("v1", "Namespace", "", "s")})
    )
    assert (SCOPE | Scope()) - Scope() == SCOPE
    assert Scope() - SCOPE == SCOPE - SCOPE == Scope()


def test_what_does_not_say_whose_it_is_is_recorded_by_its_name() -> None:
    """Listed, for lists are what one may do, and named, so that a catalog of the same name leaves it alone."""
    service = {**manifest("InferenceService"), "apiVersion": "serving.kserve.io/v1beta1"}
    scope = places([service, manifest("Service")], by_name=())
    assert scope == Scope(
        frozenset({("serving.kserve.io/v1beta1", "InferenceService", "s"), ("v1", "Service", "s")}),
        frozenset({("serving.kserve.io/v1beta1", "InferenceService", "s", "x")}),
    )
    assert scope.names(service)
    assert scope.names({**service, "apiVersion": "serving.kserve.io/v1"})
    assert not scope.names({**service, "apiVersion": "other/v1beta1"})
    assert not scope.names({**service, "metadata": {"name": "y", "namespace": "s"}})
    assert recorded(parent(HOME, scope), HOME) == scope


@pytest.mark.parametrize(
    ("labels", "namespace", "other"),
    [
        ({PART_OF: HOME.id}, "s", False),
        ({}, "s", False),
        ({PART_OF: "applyset-other-v1"}, "s", True),
        ({ID: "applyset-other-v1"}, "s", True),
        ({"app.kubernetes.io/component": "history"}, "llama-serve", False),
        ({"app.kubernetes.io/component": "history"}, "s", True),
    ],
)
def test_what_delete_leaves_to_a_catalog_of_the_same_name(
    labels: dict[str, str], namespace: str, *, other: bool
) -> None:
    """Another home makes another set, whose members, parent and records say so."""
    item = {"kind": "ConfigMap", "metadata": {"name": "x", "namespace": namespace, "labels": labels}}
    assert is_other(item, HOME) is other


def test_what_delete_leaves_of_what_does_not_say_whose_it_is() -> None:
    """What is not recorded, as another catalog's volume; all of it counts as ours where there is no record."""
    mine, theirs = manifest("PersistentVolumeClaim"), manifest("PersistentVolumeClaim")
    theirs["metadata"]["name"] = "theirs"
    known = places([mine], by_name=())
    assert [is_other(one, HOME, known) for one in (mine, theirs)] == [False, True]
    assert not any(is_other(one, HOME, nothing) for one in (mine, theirs) for nothing in (None, Scope()))


LABELS = {
    "app.kubernetes.io/managed-by": "wtsctl",
    "app.kubernetes.io/part-of": "demo",
    "app.kubernetes.io/component": "model",
    "app.kubernetes.io/instance": "old",
}


def live(kind: str = "Deployment", **metadata: Any) -> dict[str, Any]:
    """An object that a deploy of this catalog made."""
    managed = [
        {"manager": "wtsctl", "operation": "Apply"},
        {"manager": "kube-controller-manager", "operation": "Update"},
    ]
    head = {"name": "old", "namespace": "s", "labels": LABELS | {PART_OF: HOME.id}, "managedFields": managed}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": head | metadata}


STANDINGS: list[tuple[dict[str, Any], Standing]] = [
    (live(), Standing.REMOVED),
    # Whose it is, by its labels.
    (live(labels=LABELS), Standing.REMOVED),
    (live(labels=LABELS | {PART_OF: "applyset-other-v1"}), Standing.FOREIGN),
    (live(labels=LABELS | {PART_OF: HOME.id, "app.kubernetes.io/part-of": "other"}), Standing.FOREIGN),
    (live(labels={PART_OF: HOME.id}), Standing.FOREIGN),
    (live("ConfigMap", labels=LABELS | {ID: HOME.id}), Standing.FOREIGN),
    (live("ConfigMap", labels=LABELS | {"app.kubernetes.io/component": "history"}), Standing.FOREIGN),
    (live("ConfigMap", labels=LABELS | {"app.kubernetes.io/component": "history", PART_OF: HOME.id}), Standing.REMOVED),
    (live("Lease", labels=LABELS), Standing.FOREIGN),
    # Who applied it.
    (live(managedFields=[{"manager": "kubectl", "operation": "Apply"}]), Standing.FOREIGN),
    (live(managedFields=[{"manager": "wtsctl", "operation": "Update"}]), Standing.FOREIGN),
    (live(managedFields=[{"manager": "wtsctl-agents", "operation": "Apply"}]), Standing.FOREIGN),
    (live(managedFields=None), Standing.FOREIGN),
    # What a controller made.
    (live(ownerReferences=[{"kind": "InferenceService", "name": "old"}]), Standing.FOREIGN),
    (live(ownerReferences=[]), Standing.REMOVED),
    # What someone wants to keep.
    (live(annotations={KEEP: "keep"}), Standing.KEPT),
    (live(annotations={"helm.sh/resource-policy": "keep"}), Standing.KEPT),
    (live(annotations={KEEP: "delete"}), Standing.REMOVED),
    (live(annotations={"example.com/prune": "keep"}), Standing.REMOVED),
    # What is never pruned, and what goes already.
    (live("PersistentVolumeClaim"), Standing.NEVER),
    (live("Namespace"), Standing.NEVER),
    (live(deletionTimestamp="2026-11-23T20:00:00Z"), Standing.LEAVING),
]


@pytest.mark.parametrize(("item", "expected"), STANDINGS)
def test_what_may_be_pruned(item: dict[str, Any], expected: Standing) -> None:
    """Label, field manager, no owner, no annotation: with any one of the four missing it stays."""
    assert standing(item, HOME, "wtsctl") is expected


AGAIN = [{"manager": "wtsctl", "operation": "Apply", "time": "2026-11-23T20:00:00Z"}]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"annotations": {"a": "b"}, "resourceVersion": "9", "generation": 2}, ""),
        ({"deletionTimestamp": "2026-11-23T20:00:00Z"}, ""),
        ({"annotations": {KEEP: "keep"}}, "says to keep it"),
        ({"labels": LABELS | {PART_OF: "applyset-other-v1"}}, "someone else"),
        ({"labels": LABELS | {PART_OF: HOME.id, "app.kubernetes.io/part-of": "other"}}, "someone else"),
        ({"ownerReferences": [{"kind": "InferenceService", "name": "old"}]}, "someone else"),
        ({"managedFields": AGAIN}, "another deploy applied it"),
        ({"uid": "2"}, "another one of this name"),
    ],
)
def test_what_speaks_against_a_removal_by_now(change: dict[str, Any], says: str) -> None:
    """What was planned is looked at again before it is deleted: a status or a scale is nothing, a claim on it is."""
    then = live(uid="1")
    text = objection(then, live(**{"uid": "1"} | change), HOME, "wtsctl")
    assert says in text
    assert bool(says) is bool(text)


def test_what_stays_says_why_and_what_to_do() -> None:
    """A volume with the command that deletes it; a kept one with its reason."""
    volume = left(live("PersistentVolumeClaim"), Standing.NEVER)
    assert (volume.identity, volume.model, volume.reason) == ("s/PersistentVolumeClaim/old", "old", Reason.NEVER)
    assert "`kubectl delete persistentvolumeclaim old -n s`" in volume.note
    assert left(live(), Standing.KEPT).reason is Reason.KEPT
    assert "--prune" in left(live(), Standing.REMOVED).note
    change = removed(live())
    assert (change.identity, change.stage, change.action) == ("s/Deployment/old", "prune", Action.PRUNE)
    assert model_of(live(labels=LABELS | {"app.kubernetes.io/component": "network"})) is None


def server(replicas: int, gpus: int, **metadata: Any) -> dict[str, Any]:
    """A Deployment with pods of its own."""
    limits = {"nvidia.com/gpu": str(gpus), "cpu": "4"} if gpus else {"cpu": "4"}
    container = {"name": "vllm", "resources": {"requests": limits, "limits": limits}}
    return live(**metadata) | {"spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}}}


def test_what_a_prune_means_for_users() -> None:
    """What no longer answers, and the GPUs that get free; a model of which another object goes on is not removed."""
    (one,) = removals([server(2, 4), live("Service")], [], [])
    assert (one.name, one.effect, one.pods, one.gpus) == ("old", Effect.STOPS, 2, 8)
    assert one.text == "removes old: it no longer answers, 2 pods, 8 GPUs free"
    assert removals([server(0, 4)], [], [])[0].text == "removes old, which is off"
    stack = server(1, 0, labels=LABELS | {"app.kubernetes.io/component": "llama-stack"})
    assert removals([stack], [], [])[0].text == "removes llama-stack: it no longer answers, 1 pod free"
    stays = live("InferenceService")
    (other,) = removals([server(1, 1)], [stays], [Served("old-8b", "s", "old", 1, 60)])
    assert other.text == "stops the former Deployment of old-8b: 1 GPU free"


def test_delete_looks_where_objects_are_recorded_too() -> None:
    """Namespaces and kinds that models.yaml no longer has, and names of what may not be listed; none of them twice."""
    mine = Belongings(("llama-serve",), ("agents",), (("Secret", "agents", "x"),), ())
    found = recorded_too(mine, SCOPE)
    assert found.namespaces == ("llama-serve",)
    assert found.others == ("agents", "keys", "safety")
    assert set(found.named) == {("Secret", "agents", "x"), *((kind, at, name) for _, kind, at, name in SCOPE.named)}
    assert found.further == (("apps/v1", "Deployment"), ("v1", "Service"))
