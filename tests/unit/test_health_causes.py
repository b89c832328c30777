"""What ends a wait beside a pod's own state: volumes, nodes, autoscalers, admission, operators."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.test_health import Objects, of_kind, read
from wtsctl.health.assess import assess
from wtsctl.health.claim import claim_failure
from wtsctl.health.events import event
from wtsctl.health.index import Index
from wtsctl.health.llamastackdistribution import llama_stack_distribution
from wtsctl.health.model import Answer, ModelHealth, Subject
from wtsctl.health.scheduling import Autoscaler
from wtsctl.health.state import Phase, State


def health(name: str, objects: Objects, autoscaler: Autoscaler = Autoscaler.NONE, **changes: Any) -> ModelHealth:
    """How a model is."""
    subject = replace(Subject(name, "vllm", "dep-fix", name, name, 1, name), **changes)
    return assess(subject, Index.of(objects, autoscaler))


def said(about: dict[str, Any], reason: str, message: str = "", at: str = "2030-01-01T00:00:00Z") -> dict[str, Any]:
    """An Event about an object, later than all that were recorded."""
    metadata = about["metadata"]
    involved = {"kind": about["kind"], "namespace": "dep-fix", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.1", "namespace": "dep-fix"},
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def test_a_volume_that_is_not_there() -> None:
    """A ConfigMap that no one makes keeps a pod from its volume for ever; its event says so, and when."""
    found = health("volume", read("failedmount"))
    assert (found.phase, found.reason) == (Phase.IMAGE, "FailedMount")
    assert found.cause is not None
    assert found.cause.at.startswith("2026-")
    assert 'configmap "none" not found' in found.message
    pod = of_kind(read("failedmount"), "Pod")["metadata"]["name"]
    assert found.chain == ("Deployment/volume", f"ReplicaSet/{pod.rpartition('-')[0]}", f"Pod/{pod}")


def test_a_volume_that_only_takes_its_time() -> None:
    """A driver that did not answer yet, or a volume that another node still holds, is no failure."""
    objects = read("failedmount")
    for message in ('Multi-Attach error for volume "pvc-1"', "MountVolume.MountDevice failed: rpc error: timed out"):
        later = said(of_kind(objects, "Pod"), "FailedMount", message)
        found = health("volume", [*objects, later])
        assert (found.cause, found.reason, found.message) == (None, "FailedMount", message)


def test_what_was_said_of_another_pod_does_not_count() -> None:
    """An event about a pod of the same name with another uid is about one that is gone."""
    objects = read("failedmount")
    of_kind(objects, "Pod")["metadata"]["uid"] = "another"
    assert health("volume", objects).cause is None


def test_a_claim_that_no_class_provides() -> None:
    """No class and no default: the claim stays unbound, and it is named with its owner, not the scheduler's word."""
    found = health("claim", read("nostorageclass"))
    assert (found.phase, found.reason) == (Phase.SCHEDULING, "FailedBinding")
    assert found.cause is not None
    assert "PersistentVolumeClaim weights: no persistent volumes available" in found.message
    assert found.chain == ("Deployment/claim", "PersistentVolumeClaim/weights")


@pytest.mark.parametrize(
    ("reason", "message", "count", "final"),
    [
        ("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found', 1, True),
        ("ProvisioningFailed", "rpc error: code = Unavailable", 1, False),
        ("ProvisioningFailed", "rpc error: code = ResourceExhausted desc = quota", 3, True),
        ("FailedBinding", "no persistent volumes available for this claim and no storage class is set", 1, True),
        ("FailedBinding", "binding volume failed", 1, False),
        ("Provisioning", "External provisioner is provisioning volume", 1, False),
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding", 9, False),
    ],
)
def test_when_a_claim_is_lost(reason: str, message: str, count: int, final: bool) -> None:
    """Final is what no retry mends; a driver may refuse twice."""
    item = of_kind(read("nostorageclass"), "PersistentVolumeClaim")
    found = claim_failure(item, [event({**said(item, reason, message), "count": count})])
    assert (found is not None) is final
    assert claim_failure({**item, "status": {"phase": "Bound"}}, [event(said(item, reason, message))]) is None


def test_a_pod_that_no_node_takes() -> None:
    """Without an autoscaler it is a failure soon, with one not, and where that may not be seen after a while."""
    objects = read("nonode")
    none = health("node", objects, Autoscaler.NONE)
    assert none.cause is not None
    assert (none.phase, none.reason) == (Phase.SCHEDULING, "Unschedulable")
    assert "Insufficient cpu" in none.message
    unknown = health("node", objects, Autoscaler.UNKNOWN)
    assert unknown.cause is not None
    assert unknown.cause.grace > 5 * none.cause.grace
    for autoscaler in (Autoscaler.THERE, Autoscaler.NOT_ASKED):
        waiting = health("node", objects, autoscaler)
        assert (waiting.cause, waiting.reason) == (None, "Unschedulable")


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_an_autoscaler_that_adds_a_node(reason: str) -> None:
    """Its word about the pod is enough to wait on, whatever else is known."""
    objects = read("nonode")
    assert health("node", [*objects, said(of_kind(objects, "Pod"), reason)]).cause is None


def test_an_autoscaler_that_adds_none() -> None:
    """Its refusal is final, with its reason; a later word of it counts more."""
    objects = read("nonode")
    pod = of_kind(objects, "Pod")
    refusal = said(pod, "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")
    found = health("node", [*objects, refusal], Autoscaler.THERE)
    assert found.cause is not None
    assert found.message.endswith(
        "The autoscaler adds no node: pod didn't trigger scale-up: 1 max node group size reached"
    )
    later = said(pod, "TriggeredScaleUp", at="2030-01-01T00:00:00.5Z")
    assert health("node", [*objects, refusal, later], Autoscaler.THERE).cause is None


def test_a_node_that_may_recover() -> None:
    """A taint that Kubernetes itself takes away again is waited out."""
    objects = read("nonode")
    for one in of_kind(objects, "Pod")["status"]["conditions"]:
        one["message"] = "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."
    assert health("node", objects).cause is None


def test_room_that_is_being_made() -> None:
    """A pod of the namespace that is on its way out may leave room."""
    objects = read("nonode")
    leaving = copy.deepcopy(next(one for one in read("replaced") if "deletionTimestamp" in one["metadata"]))
    assert health("node", [*objects, leaving]).cause is None


def test_pods_that_are_not_admitted() -> None:
    """Pod Security's refusal is told with what it says, of the Deployment, which has no pods."""
    found = health("admission", read("admission"))
    assert found.cause is not None
    assert found.reason == "FailedCreate"
    assert "violates PodSecurity" in found.message
    assert found.chain == ("Deployment/admission",)
    assert found.cause.at.startswith("2026-")


def test_a_webhook_that_does_not_answer() -> None:
    """It may be restarting, so that it takes longer until it counts."""
    objects = read("admission")
    refused = health("admission", objects).cause
    for one in of_kind(objects, "Deployment")["status"]["conditions"]:
        one["message"] = 'Internal error occurred: failed calling webhook "v.example.com": connection refused'
    waiting = health("admission", objects).cause
    assert refused is not None
    assert waiting is not None
    assert waiting.grace >= 10 * refused.grace


def test_a_secret_that_is_still_to_come() -> None:
    """What an ExternalSecret makes comes later than the pods; anybody else's Secret should have been there."""
    objects = read("missingsecret")
    missing = health("missingsecret", objects).cause
    coming = health("missingsecret", objects, awaited=frozenset({"huggingface-secret"})).cause
    another = health("missingsecret", objects, awaited=frozenset({"another"})).cause
    assert missing is not None
    assert coming is not None
    assert missing == another
    assert coming.grace >= 10 * missing.grace


def test_a_group_that_is_not_admitted() -> None:
    """A LeaderWorkerSet says nothing of a quota; the events of its StatefulSet do."""
    objects = [one for one in read("leaderworkerset") if one["kind"] == "LeaderWorkerSet"]
    name = objects[0]["metadata"]["name"]
    space = objects[0]["metadata"]["namespace"]
    about = {"kind": "StatefulSet", "metadata": {"name": name, "uid": "u"}}
    refusal = said(about, "FailedCreate", 'create Pod failed error: pods "a-0" is forbidden: exceeded quota: gpus')
    refusal["involvedObject"]["namespace"] = space
    found = assess(Subject(name, "vllm", space, name, name, 1, name, grouped=True), Index.of([*objects, refusal]))
    assert found.cause is not None
    assert (found.reason, found.cause.at) == ("FailedCreate", "2030-01-01T00:00:00Z")
    assert "exceeded quota" in found.message


OPERATED: dict[str, Any] = {
    "kind": "LlamaStackDistribution",
    "metadata": {"name": "llama-stack", "namespace": "dep-fix"},
}


@pytest.mark.parametrize(
    ("status", "state", "reason", "message"),
    [
        ({}, State.IN_PROGRESS, "NotReconciled", "does it run?"),
        ({"phase": "Initializing"}, State.IN_PROGRESS, "Initializing", ""),
        ({"phase": "Ready"}, State.CURRENT, "", ""),
        (
            {"phase": "Failed", "conditions": [{"type": "StorageReady", "status": "False", "message": "no class"}]},
            State.FAILED,
            "OperatorFailed",
            "no class",
        ),
    ],
)
def test_what_llama_stacks_operator_says(status: dict[str, Any], state: State, reason: str, message: str) -> None:
    """Its phase, with the message of what is not so; nothing said is not ready."""
    found = llama_stack_distribution({**OPERATED, "status": status})
    assert (found.state, found.reason) == (state, reason)
    assert message in found.message


def test_a_llama_stack_that_its_operator_makes_nothing_of() -> None:
    """Before there is a Deployment the operator's own word counts, a failure too; without it, it is absent."""
    subject = Subject("llama-stack", "llama-stack", "dep-fix", "llama-stack", "llama-stack", 1, "", operated=True)
    assert assess(subject, Index.of([])).phase is Phase.ABSENT
    waiting = assess(subject, Index.of([{**OPERATED, "status": {"phase": "Pending"}}]))
    assert (waiting.phase, waiting.reason, waiting.cause) == (Phase.PENDING, "Pending", None)
    failed = assess(subject, Index.of([{**OPERATED, "status": {"phase": "Failed"}}]))
    assert (failed.shown, failed.chain) == ("failed", ("LlamaStackDistribution/llama-stack",))


def test_an_agent_is_ready_behind_its_service() -> None:
    """Nothing is known of an agent but its port: its pods behind its Service are all there is to wait for."""
    agent = Subject("agent/ready", "agent", "dep-fix", "ready", "ready", 1, "", asked=False)
    found = assess(agent, Index.of(read("ready")))
    assert found.ready
    assert not found.askable
    without = [one for one in read("ready") if one["kind"] != "EndpointSlice"]
    assert assess(agent, Index.of(without)).reason == "NotInEndpoints"


def test_ready_takes_a_token() -> None:
    """A model that is listed is asked for one token; until it has answered it is not ready."""
    subject = Subject("ready", "vllm", "dep-fix", "ready", "ready", 1, "granite-8b")
    index = Index.of(read("ready"))
    asking = assess(subject, index, Answer(("granite-8b",), asking=True))
    assert (asking.phase, asking.reason) == (Phase.ANSWERS, "Asked")
    refused = assess(subject, index, Answer(("granite-8b",), unanswered="HTTP 500: EngineCore"))
    assert (refused.phase, refused.reason, refused.message) == (Phase.ANSWERS, "NoToken", "HTTP 500: EngineCore")
    assert assess(subject, index, Answer(("granite-8b",))).ready
