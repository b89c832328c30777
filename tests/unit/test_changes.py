"""What a plan says: differences field by field, masked Secrets, whose fields are taken, what restarts for how long."""

from __future__ import annotations

from typing import Any

import pytest

from wtsctl.plan import ownership
from wtsctl.plan.changes import Action, Change, Field, declared, differences, digest, masked
from wtsctl.plan.impact import Effect, Served, disruptive, impacts, makes_pods
from wtsctl.plan.unchanged import unchanged
from wtsctl.report.changes import ChangeReport, field_lines

READY: dict[str, Any] = {"status": {"replicas": 1, "readyReplicas": 1}}


def deployment(replicas: int | None = 1, image: str = "x:1", **spec: Any) -> dict[str, Any]:
    """A Deployment of one container."""
    made: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "m", "namespace": "llm", "labels": {"app.kubernetes.io/instance": "m"}},
        "spec": {"template": {"spec": {"containers": [{"name": "server", "image": image}]}}, **spec},
    }
    if replicas is not None:
        made["spec"]["replicas"] = replicas
    return made


def change(*paths: str, action: Action = Action.CONFIGURE, kind: str = "Deployment") -> Change:
    """A change of some fields."""
    return Change(f"llm/{kind}/m", "models", "m", action, tuple(Field(path, 1, 2) for path in paths))


def test_fields_are_named_by_what_tells_items_apart() -> None:
    """A container by its name, a port by its number, an annotation by its key; what the server counts is left out."""
    before, after = deployment(), deployment(image="x:2")
    before["metadata"] |= {"resourceVersion": "1", "managedFields": [{}], "annotations": {"a.b/c": "1"}}
    after["metadata"] |= {"resourceVersion": "2", "generation": 7, "annotations": {"a.b/c": "2"}}
    before["status"] = {"replicas": 1}
    containers = after["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "sidecar"})
    assert differences(before, after) == (
        Field("metadata.annotations['a.b/c']", "1", "2"),
        Field("spec.template.spec.containers[server].image", "x:1", "x:2"),
        Field("spec.template.spec.containers[sidecar]", None, {"name": "sidecar"}),
    )


def test_another_order_is_a_difference() -> None:
    """The same items in another order are shown as the list before and after, not as nothing."""
    (found,) = differences(
        {"metadata": {}, "env": [{"name": "a"}, {"name": "b"}]}, {"metadata": {}, "env": [{"name": "b"}, {"name": "a"}]}
    )
    assert found.path == "env"
    assert list(field_lines(found)) == ["env: in another order"]


def test_values_of_secrets_are_masked_everywhere() -> None:
    """Neither fields nor both states nor the hash have a value; which differ is still seen."""
    note = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"a": "b2xk"}}'}
    before: dict[str, Any] = {
        "kind": "Secret",
        "metadata": {"annotations": note},
        "data": {"a": "b2xk", "same": "c2FtZQ=="},
    }
    after = {"kind": "Secret", "metadata": {}, "data": {"a": "bmV3", "same": "c2FtZQ==", "b": "bW9yZQ=="}}
    shown = repr((differences(before, after), declared(before, after), masked(before, after)))
    assert not any(value in shown for value in ("b2xk", "bmV3", "c2FtZQ", "bW9yZQ"))
    fields = {one.path: (one.before, one.after) for one in differences(before, after)}
    assert fields["data.a"] == ("*** (before)", "*** (after)")
    assert fields["data.b"] == (None, "***")
    assert "data.same" not in fields
    assert before["data"]["a"] == "b2xk"


def test_arguments_are_shown_with_their_flags() -> None:
    """Of a command line each flag stands beside its value."""
    lines = list(field_lines(Field("args", ["--ctx-size", "512", "-v"], ["--ctx-size", "256", "-v"])))
    assert lines == ["args:", "  - --ctx-size 512", "  + --ctx-size 256"]


def test_the_hash_is_that_of_the_changes() -> None:
    """It does not depend on their order, and on every field of them."""
    one, other = change("spec.replicas"), change("spec.template.x")
    assert digest([one, other]) == digest([other, one])
    assert digest([one]) != digest([other])


SERVED = Served("granite", "llm", "m", 4, 900.0)
ROLLING = "restarts granite one pod after another: {}, up to 15 min each; it keeps serving"
RESTART = "restarts granite: {}, up to 15 min without it"


@pytest.mark.parametrize(
    ("changed", "live", "wanted", "text"),
    [
        (change(action=Action.CREATE), None, deployment(2), "starts granite: 2 pods, 8 GPUs, up to 15 min"),
        (change("spec.template.spec.x"), deployment(), deployment(), RESTART.format("4 GPUs")),
        (
            change("spec.template.spec.x"),
            deployment(3),
            deployment(3, strategy={"type": "RollingUpdate"}),
            ROLLING.format("3 pods, 12 GPUs"),
        ),
        (
            change("spec.template.spec.x"),
            deployment(3),
            deployment(3, strategy={"type": "Recreate"}),
            RESTART.format("3 pods, 12 GPUs"),
        ),
        (
            change("spec.replicas"),
            deployment(1),
            deployment(3),
            "scales granite from 1 to 3: 2 pods, 8 GPUs more, up to 15 min",
        ),
        (change("spec.replicas"), deployment(3), deployment(1), "scales granite from 3 to 1: 2 pods, 8 GPUs free"),
        (change("spec.replicas"), deployment(3), deployment(0), "stops granite: 3 pods, 12 GPUs free"),
        (change("spec.replicas"), deployment(0), deployment(1), "starts granite: 4 GPUs, up to 15 min"),
        (change("spec.template.x"), deployment(0), deployment(0), "granite stays off"),
        (change("metadata.labels.x"), deployment() | READY, deployment(), "granite keeps serving"),
        (
            change("metadata.labels.x"),
            deployment() | {"status": {"replicas": 1, "unavailableReplicas": 1}},
            deployment(),
            "granite does not serve now, and nothing about its pods changes",
        ),
        (change("spec.template.x"), deployment(5), deployment(None), ROLLING.format("5 pods, 20 GPUs")),
        (change(action=Action.PRUNE), deployment(), deployment(), "stops granite: 4 GPUs free"),
        (change(action=Action.RECREATE), deployment(2), deployment(2), RESTART.format("2 pods, 8 GPUs")),
    ],
)
def test_what_it_means_in_words(changed: Change, live: Any, wanted: Any, text: str) -> None:
    """Each kind of change says what happens to the server, to how many GPUs, and how long a start may take."""
    (found,) = impacts([(changed, live, wanted)], [SERVED], [])
    assert found.text == text


def test_the_last_start_tells_how_long_the_next_takes() -> None:
    """From the pods' creation until they were ready; a pod that has restarted says nothing about a start."""

    def pod(ready: str, restarts: int = 0) -> dict[str, Any]:
        return {
            "metadata": {
                "namespace": "llm",
                "labels": {"app.kubernetes.io/instance": "m"},
                "creationTimestamp": "2026-11-23T10:00:00Z",
            },
            "status": {
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": f"2026-11-23T{ready}Z"}],
                "containerStatuses": [{"restartCount": restarts}],
            },
        }

    wanted = [(change("spec.template.x"), deployment(), deployment())]
    (found,) = impacts(wanted, [SERVED], [pod("10:06:50"), pod("10:05:00"), pod("11:00:00", restarts=1)])
    assert (found.effect, found.seconds, found.measured) == (Effect.RESTARTS, 410.0, True)
    assert found.text == "restarts granite: 4 GPUs, about 7 min without it"
    (unknown,) = impacts(wanted, [SERVED], [pod("11:00:00", restarts=1)])
    assert unknown.measured is False
    # No pod says it, and a record of an earlier deploy does; where one does, that is newer.
    (recorded,) = impacts(wanted, [SERVED], [], {"granite": 90.0})
    assert (recorded.seconds, recorded.measured) == (90.0, True)
    (seen,) = impacts(wanted, [SERVED], [pod("10:05:00")], {"granite": 90.0})
    assert seen.seconds == 300.0


@pytest.mark.parametrize(
    ("one", "pods", "asked"),
    [
        (change("spec.template.spec.x"), True, True),
        (change("spec.replicas"), False, False),
        (change("spec.predictor.model.args", kind="InferenceService"), True, True),
        (change("spec.predictor.minReplicas", kind="InferenceService"), False, False),
        (change("spec.ports", kind="Service"), False, False),
        (change(action=Action.CREATE), False, False),
        (change(action=Action.PRUNE, kind="Service"), False, True),
        (change(action=Action.RECREATE, kind="Job"), False, True),
    ],
)
def test_what_a_person_is_asked_about(one: Change, pods: bool, asked: bool) -> None:
    """What restarts pods, what is deleted and made again, and what goes; not what only adds or scales."""
    assert (makes_pods(one), disruptive(one)) == (pods, asked)


def test_what_keeps_serving_stands_in_one_line() -> None:
    """Beside those that restart; where nothing does, there is nothing to say."""
    wanted = [
        (change("spec.template.x"), deployment(), deployment()),
        (change("metadata.x"), _named("n") | READY, _named("n")),
    ]
    found = impacts(wanted, [SERVED, Served("watt", "llm", "n", 1, 60.0)], [])
    assert list(ChangeReport([], found).effects()) == [
        "  restarts granite: 4 GPUs, up to 15 min without it",
        "  watt keeps serving",
    ]
    assert list(ChangeReport([], found[1:]).effects()) == []


def _named(instance: str) -> dict[str, Any]:
    made = deployment()
    made["metadata"]["labels"]["app.kubernetes.io/instance"] = instance
    return made


@pytest.mark.parametrize(
    ("manager", "earlier"),
    [
        ("kubectl", True),
        ("kubectl-client-side-apply", True),
        ("kubectl-edit", True),
        ("helm", True),
        ("before-first-apply", True),
        ("wtsctl", True),
        ("wtsctl-replicas", True),
        ("helm-controller", False),
        ("kustomize-controller", False),
        ("argocd-controller", False),
        ("kube-controller-manager", False),
        ("my-kubectl", False),
        ("", False),
    ],
)
def test_tools_of_earlier_and_controllers(manager: str, earlier: bool) -> None:
    """What someone ran once is taken over from; what would write its own again is not."""
    assert ownership.is_earlier(manager, "wtsctl") is earlier


def test_what_to_do_about_a_controller() -> None:
    """The advice names the tool that reconciles; of an unknown owner it is the flag."""
    assert "HelmRelease" in ownership.advice(["helm-controller"])
    assert "autoscaler" in ownership.advice(["kube-controller-manager"])
    assert "--force-conflicts" in ownership.advice(["someone"])


def recorded(*entries: tuple[str, str, dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A Deployment with a record of who set what."""
    made = deployment(**fields)
    made["metadata"]["managedFields"] = [
        {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": held}
        for manager, operation, held in entries
    ]
    return made


def test_what_kubectl_applied_becomes_ours() -> None:
    """The fields of both records are in one of ours, other managers keep theirs, and the old record is gone."""
    ours: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    theirs = {"f:spec": {"f:paused": {}}, "f:metadata": {"f:annotations": {"f:x": {}}}}
    live = recorded(("wtsctl", "Apply", ours), ("kubectl-client-side-apply", "Update", theirs), ("other", "Update", {}))
    own, other = ownership.migrated(live, "wtsctl", "apps/v1")
    assert own["fieldsV1"] == {"f:spec": {"f:replicas": {}, "f:paused": {}}, "f:metadata": theirs["f:metadata"]}
    assert (own["manager"], own["operation"], other["manager"]) == ("wtsctl", "Apply", "other")


def test_what_only_kubectl_set_goes() -> None:
    """What stands in its record alone is left out; what another has too stays, of lists by their items."""
    container = 'k:{"name":"server"}'
    base: dict[str, Any] = {
        "f:spec": {"f:template": {"f:spec": {"f:containers": {container: {".": {}, "f:image": {}}}}}}
    }
    held: dict[str, Any] = {
        "f:spec": {"f:paused": {}, "f:template": {"f:spec": {"f:containers": {container: {".": {}, "f:tty": {}}}}}}
    }
    live = recorded(("wtsctl", "Apply", base), ("kubectl-client-side-apply", "Update", held), paused=True)
    live["spec"]["template"]["spec"]["containers"][0]["tty"] = True
    left = ownership.without_leftovers(live)["spec"]
    assert "paused" not in left
    assert left["template"]["spec"]["containers"] == [{"name": "server", "image": "x:1"}]


def test_replicas_are_kept_only_where_we_gave_them_up() -> None:
    """Where we set them and no longer do; not where we still do, nor where they were never ours."""
    ours = recorded(("wtsctl", "Apply", {"f:spec": {"f:replicas": {}}}), replicas=4)
    assert ownership.replicas_to_keep(ours, deployment(None), "wtsctl") == 4
    assert ownership.replicas_to_keep(ours, deployment(2), "wtsctl") is None
    theirs = recorded(("wtsctl", "Apply", {"f:spec": {}}), replicas=4)
    assert ownership.replicas_to_keep(theirs, deployment(None), "wtsctl") is None


def test_spellings_of_the_api_server() -> None:
    """Quantities where they are quantities, and Secrets' texts, are the same; a text that looks like one is not."""
    limits = {
        "containers": [
            {"name": "c", "resources": {"limits": {"cpu": "1000m"}}, "env": [{"name": "a", "value": "1000m"}]}
        ]
    }
    stored = {
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}, "env": [{"name": "a", "value": "1000m"}]}]
    }
    item: dict[str, Any] = {".": {}, "f:name": {}}
    fields = {
        'k:{"name":"c"}': item
        | {"f:resources": {"f:limits": {"f:cpu": {}}}, "f:env": {'k:{"name":"a"}': item | {"f:value": {}}}}
    }
    head: dict[str, Any] = {"apiVersion": "v1", "kind": "PodTemplate"}
    entry = {
        "manager": "wtsctl",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsV1": {"f:spec": {"f:containers": fields}},
    }
    live = {**head, "metadata": {"managedFields": [entry]}, "spec": stored}
    assert unchanged(live, {**head, "metadata": {"name": "x"}, "spec": limits}, "wtsctl")
    stored["containers"][0]["env"] = [{"name": "a", "value": "1"}]
    assert not unchanged(live, {**head, "metadata": {"name": "x"}, "spec": limits}, "wtsctl")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": "text"}}
    entry["fieldsV1"] = {"f:stringData": {"f:token": {}}}
    there = {"metadata": {"managedFields": [entry]}, "data": {"token": "dGV4dA=="}}
    assert unchanged(there, secret, "wtsctl")
    assert not unchanged({**there, "data": {"token": "b3RoZXI="}}, secret, "wtsctl")
    assert not unchanged({**there, "data": {"token": "////"}}, secret, "wtsctl")
