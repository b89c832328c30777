"""Health of what stands beside Deployments: groups of a LeaderWorkerSet, and Jobs that download weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.test_health import Objects, of_kind, read, subject
from wtsctl.health.assess import assess
from wtsctl.health.index import Index
from wtsctl.health.job import job
from wtsctl.health.leaderworkerset import leader_worker_set
from wtsctl.health.model import Answer, ModelHealth
from wtsctl.health.state import Phase, State

ANSWER = Answer(ids=("granite-8b",))


def groups(objects: Objects, answer: Answer | None = ANSWER) -> ModelHealth:
    """How the model of two groups is."""
    return assess(replace(subject("leaderworkerset", 2), grouped=True), Index.of(objects), answer)


def pod_named(objects: Objects, name: str) -> dict[str, Any]:
    """One pod of the case."""
    return next(one for one in objects if one["kind"] == "Pod" and one["metadata"]["name"] == name)


STATUS: list[tuple[dict[str, Any], State, str, str]] = [
    ({}, State.CURRENT, "", ""),
    ({"observedGeneration": 2}, State.IN_PROGRESS, "NotObserved", "has not seen this change yet"),
    ({"observedGeneration": None}, State.CURRENT, "", ""),
    ({"updatedReplicas": 1}, State.IN_PROGRESS, "Updating", "1 of 2 groups are of the new revision"),
    ({"replicas": 3}, State.IN_PROGRESS, "OldPods", "1 groups more than wanted are left"),
    ({"readyReplicas": 0}, State.IN_PROGRESS, "Unavailable", "0 of 2 groups are ready"),
    ({"updatedReplicas": None, "replicas": None, "readyReplicas": None}, State.IN_PROGRESS, "Updating", "0 of 2"),
]


@pytest.mark.parametrize(("changes", "state", "reason", "text"), STATUS)
def test_groups_by_their_numbers(changes: dict[str, Any], state: State, reason: str, text: str) -> None:
    """The status of a LeaderWorkerSet is current only when all wanted groups are new and ready and none is left."""
    item = of_kind(read("leaderworkerset"), "LeaderWorkerSet")
    item["status"] |= changes
    found = leader_worker_set(item)
    assert (found.state, found.reason) == (state, reason)
    assert text in found.message


def test_model_over_several_nodes_is_ready() -> None:
    """Four pods, of which the two leaders stand behind the Service and one answers: ready, and not missing."""
    found = groups(read("leaderworkerset"))
    assert (found.phase, found.wanted, found.ready_pods, found.endpoints) == (Phase.READY, 4, 4, 2)
    assert groups(read("leaderworkerset"), None).askable


def test_a_worker_holds_its_group_up() -> None:
    """A worker without a GPU keeps the model in its phase, with the scheduler's words; one that crashes fails it."""
    objects = read("leaderworkerset")
    of_kind(objects, "LeaderWorkerSet")["status"]["readyReplicas"] = 1
    worker = pod_named(objects, "leaderworkerset-1-1")
    worker["status"] = {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient GPUs"}
        ],
    }
    found = groups(objects)
    assert (found.phase, found.reason, found.pod) == (Phase.SCHEDULING, "Unschedulable", "leaderworkerset-1-1")
    worker["status"] = {
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {"name": "server", "restartCount": 3, "state": {"terminated": {"exitCode": 1}}, "started": False}
        ],
    }
    assert groups(objects).shown == "failed"


def test_pods_of_an_older_revision_do_not_count() -> None:
    """While groups are replaced, the model waits for the new ones, whatever the old ones answer."""
    objects = read("leaderworkerset")
    of_kind(objects, "LeaderWorkerSet")["status"]["updatedReplicas"] = 1
    for name in ("leaderworkerset-1", "leaderworkerset-1-1"):
        metadata = pod_named(objects, name)["metadata"]
        metadata["labels"]["leaderworkerset.sigs.k8s.io/template-revision-hash"] = "new"
        metadata["creationTimestamp"] = "2026-11-23T15:00:00Z"
    found = groups(objects)
    assert (found.phase, found.reason) == (Phase.PENDING, "Updating")
    assert [one.name for one in found.pods] == ["leaderworkerset-1", "leaderworkerset-1-1"]


def test_a_missing_set_is_called_by_its_kind() -> None:
    """Without the object, the message names the kind that is missing."""
    found = groups([])
    assert (found.phase, found.message) == (Phase.ABSENT, "namespace dep-fix has no LeaderWorkerSet leaderworkerset")


JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "initrunning-download-1",
        "namespace": "dep-fix",
        "labels": {"app.kubernetes.io/instance": "initrunning"},
        "annotations": {"wtsctl/weights": "w1"},
        "creationTimestamp": "2026-11-23T14:00:00Z",
    },
    "status": {"active": 1},
}
FAILED = {
    "failed": 5,
    "conditions": [
        {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"},
        {
            "type": "Failed",
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit",
        },
    ],
}
COMPLETE = {"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]}


def waiting(status: dict[str, Any], *further: dict[str, Any]) -> ModelHealth:
    """How a model is whose pod waits in an init container for a Job of this status."""
    made = {**copy.deepcopy(JOB), "status": status}
    objects = read("initrunning")
    of_kind(objects, "Deployment")["spec"]["template"]["metadata"] = {"annotations": {"wtsctl/weights": "w1"}}
    return assess(replace(subject("initrunning"), downloads=True), Index.of([*objects, made, *further]))


@pytest.mark.parametrize(
    ("status", "state", "message"),
    [
        ({}, State.IN_PROGRESS, "no try has failed"),
        ({"active": 1, "failed": 1}, State.IN_PROGRESS, "one try has failed"),
        ({"active": 1, "failed": 3}, State.IN_PROGRESS, "3 tries have failed"),
        ({"conditions": [{"type": "FailureTarget", "status": "True"}]}, State.IN_PROGRESS, "no try has failed"),
        (FAILED, State.FAILED, "Job has reached the specified backoff limit"),
        (COMPLETE, State.CURRENT, ""),
    ],
)
def test_job_by_its_final_conditions(status: dict[str, Any], state: State, message: str) -> None:
    """A Job has failed once it is not tried again, and not before."""
    found = job({**JOB, "status": status})
    assert (found.state, found.message) == (state, message)


def test_a_download_is_waited_for() -> None:
    """While the Job runs the model starts, with its failed tries; once it is complete the pods tell how it is."""
    found = waiting({"active": 1, "failed": 2})
    assert (found.phase, found.reason, found.failed) == (Phase.WEIGHTS, "Downloading", False)
    assert found.message == "Job initrunning-download-1 downloads the weights; 2 tries have failed"
    assert waiting(COMPLETE).reason == "PodInitializing"


def test_a_failed_download_fails_the_model() -> None:
    """The pods wait for ever, so the model has failed, and its evidence is looked for in the Job's latest pod."""
    tries = [
        {
            "kind": "Pod",
            "metadata": {
                "name": f"initrunning-download-1-{name}",
                "namespace": "dep-fix",
                "labels": {"app.kubernetes.io/instance": "initrunning-download-1"},
                "creationTimestamp": f"2026-11-23T14:0{at}:00Z",
            },
            "status": {"phase": "Failed"},
        }
        for at, name in enumerate(("zz", "aa"))
    ]
    found = waiting(FAILED, *tries)
    assert (found.shown, found.reason, found.pod) == ("failed", "DownloadFailed", "initrunning-download-1-aa")
    assert found.cause is not None
    assert (found.cause.container, found.cause.crashed) == ("download", True)
    assert found.message.endswith("did not download the weights: Job has reached the specified backoff limit")


def test_a_download_that_cannot_start_fails_the_model() -> None:
    """An image that cannot be pulled is as final for the Job's pod as for the server's."""
    stuck = copy.deepcopy(next(one for one in read("badimage") if one["kind"] == "Pod"))
    stuck["metadata"]["labels"]["app.kubernetes.io/instance"] = "initrunning-download-1"
    found = waiting({"active": 1}, stuck)
    assert found.shown == "failed"
    assert found.message.startswith("Job initrunning-download-1 cannot download the weights: ")


def another(name: str, created: str, weights: str = "w1") -> dict[str, Any]:
    """A failed Job beside the first one."""
    made = copy.deepcopy(JOB) | {"status": FAILED}
    made["metadata"] |= {"name": name, "creationTimestamp": created, "annotations": {"wtsctl/weights": weights}}
    return made


def test_only_the_downloads_that_the_pods_wait_for_count() -> None:
    """Of other weights, of an earlier try, or after one that got them: a failure says nothing."""
    before, after = "2026-11-23T13:00:00Z", "2026-11-23T15:00:00Z"
    assert waiting({"active": 1}, another("other", after, "w2")).reason == "Downloading"
    assert waiting({"active": 1}, another("earlier", before)).reason == "Downloading"
    assert waiting({"active": 1}, another("later", after)).reason == "DownloadFailed"
    assert waiting(COMPLETE, another("later", after)).reason == "PodInitializing"


def test_a_pod_that_does_not_wait_is_not_held_up() -> None:
    """Where the weights are there already, what becomes of a further download does not matter to a pod that loads."""
    objects = read("loading")
    of_kind(objects, "Deployment")["spec"]["template"]["metadata"] = {"annotations": {"wtsctl/weights": "w1"}}
    failed = another("later", "2026-11-23T15:00:00Z")
    failed["metadata"]["labels"] = {"app.kubernetes.io/instance": "loading"}
    assert assess(replace(subject("loading"), downloads=True), Index.of([*objects, failed])).phase is Phase.LOADING
