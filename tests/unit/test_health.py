"""Health, from objects as a real cluster had them (tests/unit/objects) and from changes to those."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from wtsctl.health.assess import assess
from wtsctl.health.claim import claim
from wtsctl.health.deployment import deployment
from wtsctl.health.index import Index
from wtsctl.health.inferenceservice import inference_service
from wtsctl.health.model import Answer, ModelHealth, Subject
from wtsctl.health.namespace import namespace
from wtsctl.health.state import Phase, State

OBJECTS = Path(__file__).parent / "objects"
Objects = list[dict[str, Any]]


def read(name: str) -> Objects:
    """The objects of one case."""
    return [item for item in yaml.safe_load_all((OBJECTS / f"{name}.yaml").read_text()) if item]


def subject(name: str, replicas: int = 1, runtime: str = "vllm") -> Subject:
    """The model that the objects of a case belong to."""
    return Subject(name, runtime, "dep-fix", name, name, replicas, "granite-8b")


def health(name: str, objects: Objects | None = None, answer: Answer | None = None) -> ModelHealth:
    """How the model of a case is."""
    return assess(subject(name), Index.of(read(name) if objects is None else objects), answer)


def of_kind(objects: Objects, kind: str) -> dict[str, Any]:
    """The newest object of a kind."""
    return max((one for one in objects if one["kind"] == kind), key=lambda one: one["metadata"]["creationTimestamp"])


STUCK = [
    ("badimage", Phase.IMAGE, {"ImagePullBackOff", "ErrImagePull"}, "nowhere.invalid"),
    ("neverpull", Phase.IMAGE, {"ErrImageNeverPull"}, "not present"),
    ("invalidname", Phase.IMAGE, {"InvalidImageName"}, "Not A Name"),
    ("missingsecret", Phase.STARTING, {"CreateContainerConfigError"}, 'secret "huggingface-secret" not found'),
    ("badcommand", Phase.STARTING, {"RunContainerError", "CrashLoopBackOff"}, "/no/such/program"),
    ("crashloop", Phase.STARTING, {"CrashLoopBackOff"}, "exited with code 1"),
    ("oomkilled", Phase.STARTING, {"OOMKilled"}, "ran out of its memory limit"),
    ("initcrash", Phase.STARTING, {"CrashLoopBackOff"}, "storage-initializer exited with code 1"),
    ("quota", Phase.PENDING, {"FailedCreate"}, "exceeded quota"),
]


@pytest.mark.parametrize(("name", "phase", "reasons", "text"), STUCK)
def test_what_gets_no_further_by_itself(name: str, phase: Phase, reasons: set[str], text: str) -> None:
    """Each terminal state has a cause with the cluster's own reason and message, and the phase it stopped in."""
    found = health(name)
    assert found.shown == "failed"
    assert found.cause is not None
    assert found.cause.reason in reasons
    assert text in found.message
    assert found.phase is phase


MOVING = [
    ("unschedulable", Phase.SCHEDULING, "Unschedulable", "Insufficient nvidia.com/gpu"),
    ("unbound", Phase.SCHEDULING, "Unbound", "PersistentVolumeClaim cache: no volume of storage class missing yet"),
    ("missingvolume", Phase.IMAGE, "ContainerCreating", ""),
    ("initrunning", Phase.WEIGHTS, "PodInitializing", "init container storage-initializer runs"),
    ("loading", Phase.LOADING, "Loading", "the startup probe has not passed yet"),
    ("notready", Phase.ENDPOINT, "ContainersNotReady", ""),
]


@pytest.mark.parametrize(("name", "phase", "reason", "text"), MOVING)
def test_what_may_still_become_ready(name: str, phase: Phase, reason: str, text: str) -> None:
    """A pod on its way has a phase and a reason, and no cause: a slow load or a full node is no failure."""
    found = health(name)
    assert found.cause is None
    assert (found.phase, found.reason) == (phase, reason)
    assert text in found.message


def test_old_pods_do_not_count() -> None:
    """While the pods of an older revision crash, the model is what its newest revision is."""
    objects = read("loading")
    assert sum(one["kind"] == "Pod" for one in objects) == 2
    found = health("loading", objects)
    assert len(found.pods) == 1
    assert found.cause is None


def test_ready_takes_an_answer() -> None:
    """Ready pods behind a Service are not enough: the endpoint has to list the declared id."""
    asked = health("ready")
    assert (asked.phase, asked.reason, asked.endpoints) == (Phase.ENDPOINT, "NotAsked", 1)
    assert health("ready", answer=Answer(("granite-8b", "granite"))).ready
    silent = health("ready", answer=Answer(failure="no answer within 5 s"))
    assert (silent.phase, silent.reason, silent.cause) == (Phase.ENDPOINT, "NoAnswer", None)
    other = health("ready", answer=Answer(("llama-3b",)))
    assert (other.shown, other.reason) == ("failed", "NotServed")
    assert "llama-3b, not granite-8b" in other.message


def test_an_answer_without_ready_pods_is_not_believed() -> None:
    """An answer that came before the pod went away does not make the model ready."""
    found = health("loading", answer=Answer(("granite-8b",)))
    assert found.answer is None
    assert found.phase is Phase.LOADING


def test_a_pod_that_is_going_away_does_not_count() -> None:
    """Of a deleted pod and the one in its place only the latter counts, and without it the model is not ready."""
    objects = read("replaced")
    gone = [one for one in objects if one["kind"] == "Pod" and "deletionTimestamp" in one["metadata"]]
    found = health("ready", objects, Answer(("granite-8b",)))
    assert len(found.pods) == len(gone) == 1
    assert found.pods[0].name != gone[0]["metadata"]["name"]
    alone = [one for one in objects if one["kind"] != "Pod" or one in gone]
    left = health("ready", alone, Answer(("granite-8b",)))
    assert not left.ready
    assert (left.ready_pods, left.endpoints) == (0, 0)


def test_a_sidecar_does_not_hold_the_others_up() -> None:
    """An init container that restarts always is not waited for; one that does not is."""
    objects = read("initrunning")
    of_kind(objects, "Pod")["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert health("initrunning", objects).phase is Phase.IMAGE


def test_the_generation_gate() -> None:
    """A status that speaks of an older spec says nothing, however good it looks."""
    objects = read("ready")
    of_kind(objects, "Deployment")["metadata"]["generation"] += 1
    found = health("ready", objects, Answer(("granite-8b",)))
    assert (found.phase, found.reason) == (Phase.PENDING, "NotObserved")


def test_nothing_there() -> None:
    """Without a Deployment the model is absent."""
    found = health("ready", [])
    assert (found.phase, found.reason, found.shown) == (Phase.ABSENT, "NotFound", "absent")


def test_being_deleted() -> None:
    """A Deployment that waits for its pods to go is terminating, though they still serve."""
    objects = read("ready")
    of_kind(objects, "Deployment")["metadata"]["deletionTimestamp"] = "2026-11-23T14:20:00Z"
    assert health("ready", objects, Answer(("granite-8b",))).phase is Phase.TERMINATING


def test_a_service_that_selects_nothing() -> None:
    """A ready pod that stands in no EndpointSlice cannot be reached."""
    objects = read("ready")
    of_kind(objects, "EndpointSlice")["endpoints"] = None
    found = health("ready", objects)
    assert (found.phase, found.reason, found.endpoints) == (Phase.ENDPOINT, "NotInEndpoints", 0)
    assert "0 of 1" in found.message


def test_an_endpoint_of_another_pod() -> None:
    """Endpoints that are not this model's pods do not count."""
    objects = read("ready")
    of_kind(objects, "EndpointSlice")["endpoints"][0]["targetRef"]["name"] = "someone-else"
    assert health("ready", objects).reason == "NotInEndpoints"


def test_a_pod_that_is_not_of_the_newest_revision_may_still_answer() -> None:
    """While the Service also leads to another pod, an answer may be that one's: it is not asked for, nor believed."""
    objects = read("ready")
    endpoints = of_kind(objects, "EndpointSlice")["endpoints"]
    endpoints.append(copy.deepcopy(endpoints[0]) | {"targetRef": {"kind": "Pod", "name": "of-before"}})
    found = health("ready", objects, Answer(("granite-8b",)))
    assert (found.phase, found.reason, found.askable) == (Phase.ENDPOINT, "OtherEndpoints", False)
    assert "of-before" in found.message


def test_scaled_to_zero() -> None:
    """No pods are right where the catalog wants none, and wrong where it wants one."""
    objects = read("scaledtozero")
    index = Index.of(objects)
    assert assess(subject("scaledtozero", replicas=0), index).ready
    wrong = assess(subject("scaledtozero", replicas=1), index)
    assert (wrong.phase, wrong.reason) == (Phase.PENDING, "ScaledToZero")


def test_a_passed_progress_deadline_is_no_failure_while_a_pod_loads() -> None:
    """ProgressDeadlineExceeded says that the load is longer than the deadline, not that it failed."""
    objects = read("loading")
    conditions = of_kind(objects, "Deployment")["status"]["conditions"]
    progressing = next(one for one in conditions if one["type"] == "Progressing")
    progressing |= {"status": "False", "reason": "ProgressDeadlineExceeded"}
    found = health("loading", objects)
    assert (found.phase, found.cause) == (Phase.LOADING, None)
    assert deployment(of_kind(objects, "Deployment")).state is State.FAILED


def test_a_first_crash_is_not_yet_a_loop() -> None:
    """One restart may be the answer to a dependency that was not up; three runs are a loop."""
    objects = read("crashloop")
    status = of_kind(objects, "Pod")["status"]["containerStatuses"][0]
    status["restartCount"] = 1
    first = health("crashloop", objects)
    assert (first.phase, first.reason, first.cause) == (Phase.STARTING, "Restarting", None)
    status["restartCount"] = 2
    assert health("crashloop", objects).failed


def test_a_server_that_ends_well_has_crashed_too() -> None:
    """Exit code 0 again and again is a loop: a server does not end."""
    objects = read("crashloop")
    status = of_kind(objects, "Pod")["status"]["containerStatuses"][0]
    for state in (status["state"], status["lastState"]):
        for ended in state.values():
            ended["exitCode"] = 0
    assert health("crashloop", objects).reason == "CrashLoopBackOff"


def test_an_evicted_pod_is_not_a_failing_one() -> None:
    """A pod that ended is passed over for the one that took its place."""
    objects = read("ready")
    evicted = copy.deepcopy(of_kind(objects, "Pod"))
    evicted["metadata"]["name"] += "-evicted"
    evicted["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
    found = health("ready", [*objects, evicted], Answer(("granite-8b",)))
    assert found.ready
    assert len(found.pods) == 1


def test_restarts_are_counted() -> None:
    """Restarts are those of all containers of the newest pods."""
    assert health("crashloop").restarts >= 2
    assert health("ready").restarts == 0


def test_a_claim() -> None:
    """Bound is current, waiting is on its way, a lost volume has failed."""
    waiting = next(one for one in read("unbound") if one["kind"] == "PersistentVolumeClaim")
    assert claim(waiting).state is State.IN_PROGRESS
    for phase, state in (("Bound", State.CURRENT), ("Lost", State.FAILED)):
        assert claim(waiting | {"status": {"phase": phase}}).state is state


def test_a_namespace_on_its_way_out() -> None:
    """A terminating namespace says what holds it up."""
    item = {
        "kind": "Namespace",
        "metadata": {"name": "llm", "deletionTimestamp": "2026-11-23T14:20:00Z"},
        "status": {
            "phase": "Terminating",
            "conditions": [
                {"type": "NamespaceFinalizersRemaining", "status": "True", "message": "finalizers remaining: x in 1"},
                {"type": "NamespaceContentRemaining", "status": "False", "message": "All content removed"},
            ],
        },
    }
    found = namespace(item)
    assert found.state is State.TERMINATING
    assert found.message == "finalizers remaining: x in 1"
    assert namespace({"kind": "Namespace", "metadata": {"name": "llm"}}).current


def kserve(status: dict[str, Any]) -> dict[str, Any]:
    """An InferenceService with a status; the fields are those of KServe's v1beta1 API."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "ready", "namespace": "dep-fix", "generation": 1},
        "status": status,
    }


def of_kserve(name: str) -> Objects:
    """The objects of a case as if KServe had made its Deployment."""
    objects = read(name)
    for item in objects:
        if item["kind"] == "Deployment":
            item["metadata"]["name"] = f"{name}-predictor"
        for owner in item["metadata"].get("ownerReferences") or []:
            if owner["kind"] == "Deployment":
                owner["name"] = f"{name}-predictor"
    return objects


def test_kserve_is_not_taken_at_its_word() -> None:
    """An InferenceService that says Ready while its pod crashes has failed."""
    service = kserve({"conditions": [{"type": "Ready", "status": "True"}]})
    service["metadata"]["name"] = "crashloop"
    found = assess(subject("crashloop", runtime="kserve"), Index.of([*of_kserve("crashloop"), service]))
    assert inference_service(service).current
    assert (found.shown, found.reason) == ("failed", "CrashLoopBackOff")


def test_kserve_without_conditions_is_not_ready() -> None:
    """A custom object on which no controller has written anything never passes."""
    found = assess(subject("ready", runtime="kserve"), Index.of([kserve({})]))
    assert (found.phase, found.reason) == (Phase.PENDING, "NotReconciled")


def test_kserve_that_refuses_the_spec() -> None:
    """What only KServe knows, that it makes nothing of this spec, is a failure with its message."""
    info = {"reason": "NoSupportingRuntime", "message": "No runtime found to support specified framework/version"}
    status = {"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": info}}
    found = assess(subject("ready", runtime="kserve"), Index.of([kserve(status)]))
    assert (found.shown, found.reason) == ("failed", "NoSupportingRuntime")
    assert "No runtime found" in found.message


def test_kserve_that_speaks_of_a_crash_that_is_over() -> None:
    """After one crash of the download KServe says FailedToLoad until the model is ready; the pods know better."""
    failure = {"reason": "ModelLoadFailed", "message": "connection reset", "exitCode": 1}
    status = {"modelStatus": {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}}
    service = kserve(status)
    service["metadata"]["name"] = "initrunning"
    found = assess(subject("initrunning", runtime="kserve"), Index.of([*of_kserve("initrunning"), service]))
    assert (found.phase, found.reason, found.cause) == (Phase.WEIGHTS, "PodInitializing", None)


def test_a_passed_progress_deadline_under_kserve() -> None:
    """KServe gives every Deployment 600 s; a load that takes longer is no failure there either."""
    objects = of_kserve("loading")
    conditions = of_kind(objects, "Deployment")["status"]["conditions"]
    progressing = next(one for one in conditions if one["type"] == "Progressing")
    progressing |= {"status": "False", "reason": "ProgressDeadlineExceeded"}
    service = kserve({"conditions": [{"type": "Ready", "status": "False", "reason": "ProgressDeadlineExceeded"}]})
    service["metadata"]["name"] = "loading"
    found = assess(subject("loading", runtime="kserve"), Index.of([*objects, service]))
    assert (found.phase, found.cause) == (Phase.LOADING, None)


def test_kserve_has_to_stay_ready() -> None:
    """Until KServe has seen a change the old pods look well, so ready has to last; a Deployment says it itself."""
    ready = ModelHealth(subject("ready", runtime="kserve"), Phase.READY)
    assert ready.grace > 0
    assert ModelHealth(subject("ready"), Phase.READY).grace == 0


def test_a_quota_that_pods_on_their_way_out_still_fill() -> None:
    """A pod that is going away counts against the quota, so that a refusal meanwhile is no failure."""
    objects = read("quota")
    assert health("quota", objects).failed
    leaving = copy.deepcopy(next(one for one in read("replaced") if "deletionTimestamp" in one["metadata"]))
    found = health("quota", [*objects, leaving])
    assert (found.phase, found.reason, found.cause) == (Phase.PENDING, "FailedCreate", None)
