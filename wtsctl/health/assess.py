"""How a model is: a fold over its Deployment, LeaderWorkerSet or InferenceService, its pods, endpoints and answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wtsctl.health.claim import claim
from wtsctl.health.deployment import deployment, replicas
from wtsctl.health.endpoints import ready_pods
from wtsctl.health.index import pod_template
from wtsctl.health.inferenceservice import inference_service
from wtsctl.health.job import job
from wtsctl.health.leaderworkerset import groups, leader_worker_set, size
from wtsctl.health.model import NOT_ASKED, UNSEEN_SECONDS, Answer, ModelHealth, Subject
from wtsctl.health.pod import INITIALIZING, Cause, PodHealth, pod
from wtsctl.health.state import Health, Object, Phase, State, terminating

if TYPE_CHECKING:
    from wtsctl.health.index import Index

# A quota may be freed by what else is going on; an endpoint that has just come up may still list what it is loading.
_REFUSED_SECONDS = 10.0
_OTHER_MODEL_SECONDS = 5.0


def assess(subject: Subject, index: Index, answer: Answer | None = None) -> ModelHealth:
    """How `subject` is, by the objects in `index` and, once there is a ready pod, by its endpoint's `answer`."""
    service = index.by_name.get(("InferenceService", subject.namespace, subject.object_name))
    made = index.by_name.get((subject.kind, subject.namespace, subject.deployment))
    root = service if subject.kserve else made
    if root is None:
        kind = "InferenceService" if subject.kserve else subject.kind
        text = f"namespace {subject.namespace} has no {kind} {subject.object_name}"
        if subject.operated:
            text += "; Llama Stack's operator makes it: does that run?"
        return ModelHealth(subject, Phase.ABSENT, "NotFound", text)
    pods = tuple(index.newest_pods(subject))
    behind = ready_pods(index.slices.get((subject.namespace, subject.service), ()))
    health = ModelHealth(
        subject,
        Phase.PENDING,
        pods=pods,
        wanted=(groups(made) * size(made) if subject.grouped else replicas(made)) if made else subject.replicas,
        answering=(groups(made) if subject.grouped else replicas(made)) if made else subject.replicas,
        created=str(root["metadata"].get("creationTimestamp", "")),
        answer=answer if any(one.name in behind for one in pods) else None,
        behind=behind,
    )
    if terminating(root):
        return replace(health, phase=Phase.TERMINATING, reason="Terminating", message="it is being deleted")
    held_up = _broken(health) or (_downloading(health, index, made) if made else None)
    if held_up:
        return held_up
    if service is not None and subject.kserve:
        said = inference_service(service)
        if said.state is State.FAILED:
            cause = Cause(said.reason, said.message, grace=UNSEEN_SECONDS)
            return replace(health, reason=said.reason, message=said.message, cause=cause)
        if made is None:
            text = said.message or "KServe has not made its Deployment yet"
            return replace(health, reason=said.reason, message=text)
    return health if made is None else _rolling_out(health, index, made)


def _broken(health: ModelHealth) -> ModelHealth | None:
    """The phase of a model with a pod that gets no further by itself."""
    one = next((one for one in health.pods if one.cause), None)
    if one is None:
        return None
    return replace(health, phase=one.phase, reason=one.reason, message=one.message, cause=one.cause, pod=one.name)


def _downloading(health: ModelHealth, index: Index, made: Object) -> ModelHealth | None:
    """The phase of a model that waits for its download, or waits in vain; None where no pod waits."""
    jobs = index.downloads(health.subject, made)
    initializing = [one for one in health.pods if one.reason == INITIALIZING]
    if not jobs or (health.pods and not initializing) or any(job(one).current for one in jobs):
        return None
    done, name = job(jobs[-1]), str(jobs[-1]["metadata"]["name"])
    tries = index.pods.get((health.subject.namespace, name), [])
    tried = [pod(one) for one in sorted(tries, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))]
    latest = tried[-1].name if tried else ""
    if done.state is State.FAILED:
        text = f"Job {name} did not download the weights: {done.message or done.reason}"
        cause = Cause("DownloadFailed", text, "download", crashed=True)
        return replace(health, phase=Phase.STARTING, reason="DownloadFailed", message=text, cause=cause, pod=latest)
    stopped = next((one for one in tried if one.cause), None)
    if stopped and stopped.cause:
        text = f"Job {name} cannot download the weights: {stopped.message}"
        return replace(
            health, phase=Phase.STARTING, reason=stopped.reason, message=text, cause=stopped.cause, pod=stopped.name
        )
    text = f"Job {name} downloads the weights; {done.message}"
    return replace(health, phase=Phase.STARTING, reason="Downloading", message=text, pod=latest)


def _rolling_out(health: ModelHealth, index: Index, made: Object) -> ModelHealth:
    """The phase of a model whose Deployment exists and whose pods nothing stops."""
    rollout, pods = leader_worker_set(made) if health.subject.grouped else deployment(made), health.pods
    waiting = replace(health, reason=rollout.reason, message=rollout.message)
    # A passed progress deadline is no failure while a pod still loads: loads take as long as they take.
    if rollout.state is State.FAILED and rollout.reason != "ProgressDeadlineExceeded":
        cause = Cause(rollout.reason, rollout.message, grace=_REFUSED_SECONDS)
        return waiting if index.leaving(health.subject.namespace) else replace(waiting, cause=cause)
    if health.wanted == 0:
        return _stopped(health, rollout)
    if rollout.reason == "NotObserved" or (len(pods) < health.wanted and all(one.ready for one in pods)):
        return waiting
    slowest = min(pods, key=lambda one: one.phase.order)
    if not slowest.ready:
        return _held_up(health, slowest, index, made)
    if rollout.current:
        return _reachable(health)
    # The pods are ready, but they are not the ones that are wanted now.
    return waiting if rollout.reason == "Updating" else replace(waiting, phase=Phase.ENDPOINT)


def _held_up(health: ModelHealth, slowest: PodHealth, index: Index, made: Object) -> ModelHealth:
    """The phase of the pod that has come least far."""
    unbound = _unbound(index, made) if slowest.phase is Phase.SCHEDULING else None
    reason, message = (unbound.reason, unbound.message) if unbound else (slowest.reason, slowest.message)
    return replace(health, phase=slowest.phase, reason=reason, message=message, pod=slowest.name)


def _stopped(health: ModelHealth, rollout: Health) -> ModelHealth:
    """A model with no pods on purpose is as it should be, if the catalog wants none."""
    if not rollout.current:
        return replace(health, reason=rollout.reason, message=rollout.message)
    if health.subject.replicas == 0:
        return replace(health, phase=Phase.READY, reason="ScaledToZero", message="0 replicas, as the catalog asks")
    text = f"it is scaled to 0 replicas; the catalog asks for {health.subject.replicas}"
    return replace(health, reason="ScaledToZero", message=text)


def _unbound(index: Index, made: Object) -> Health | None:
    """What keeps a pod's volume away: more to the point than the scheduler's own message."""
    volumes = pod_template(made)["spec"].get("volumes") or []
    for name in (str((volume.get("persistentVolumeClaim") or {}).get("claimName", "")) for volume in volumes):
        found = index.by_name.get(("PersistentVolumeClaim", made["metadata"]["namespace"], name))
        health = claim(found) if found else None
        if health and not health.current:
            return replace(health, message=f"PersistentVolumeClaim {name}: {health.message}")
    return None


def _reachable(health: ModelHealth) -> ModelHealth:
    """The last phase: the Service knows the pods, and the endpoint lists the model."""
    subject, answer = health.subject, health.answer
    at_endpoint = replace(health, phase=Phase.ENDPOINT)
    if health.endpoints < health.answering:
        text = f"Service {subject.service} knows {health.endpoints} of {health.answering} ready pods"
        return replace(at_endpoint, reason="NotInEndpoints", message=text)
    others = sorted(health.behind - {one.name for one in health.pods})
    if others:
        text = f"Service {subject.service} also sends requests to {', '.join(others)}"
        return replace(at_endpoint, reason="OtherEndpoints", message=text)
    if answer is None:
        return replace(at_endpoint, reason=NOT_ASKED, message="its endpoint has not been asked yet")
    if answer.failure:
        return replace(at_endpoint, reason="NoAnswer", message=answer.failure)
    if not answer.serves(subject.serves):
        text = f"its endpoint serves {', '.join(answer.ids) or 'nothing'}, not {subject.serves}"
        cause = Cause("NotServed", text, grace=_OTHER_MODEL_SECONDS)
        return replace(at_endpoint, reason="NotServed", message=text, cause=cause)
    return replace(health, phase=Phase.READY)
