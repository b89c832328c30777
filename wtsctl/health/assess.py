"""How a model is: a fold over its Deployment, LeaderWorkerSet or InferenceService, its pods, endpoints and answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wtsctl.health.deployment import deployment
from wtsctl.health.endpoints import ready_pods
from wtsctl.health.events import newest
from wtsctl.health.index import pod_template
from wtsctl.health.inferenceservice import inference_service
from wtsctl.health.job import job
from wtsctl.health.leaderworkerset import leader_worker_set, size
from wtsctl.health.llamastackdistribution import llama_stack_distribution
from wtsctl.health.model import Answer, ModelHealth, Subject
from wtsctl.health.owners import chain
from wtsctl.health.pod import INITIALIZING, Cause, PodHealth, pod
from wtsctl.health.reachable import reachable
from wtsctl.health.scheduling import claim_cause, mount_cause, unbound, unschedulable
from wtsctl.health.state import Health, Object, Phase, State, replicas, status_time, terminating

if TYPE_CHECKING:
    from wtsctl.health.events import Event
    from wtsctl.health.index import Index

# In which a pod has no node or no container yet.
_HELD = frozenset({Phase.SCHEDULING, Phase.IMAGE})
# A quota may be freed by what else is going on.
_REFUSED_SECONDS = 2.0
# Until KServe has seen a corrected spec its word about the one before stands there; it takes a second or two.
_SPEC_SECONDS = 3.0
# An ExternalSecret's Secret comes once its operator has asked the store.
_AWAITED_SECONDS = 60.0
# An admission webhook that does not answer may be restarting.
_WEBHOOK_SECONDS = 30.0


def assess(subject: Subject, index: Index, answer: Answer | None = None) -> ModelHealth:
    """How `subject` is, by the objects in `index` and, once there is a ready pod, by its endpoint's `answer`."""
    health = _assess(subject, index, answer)
    about = index.by_name.get(("Pod", subject.namespace, health.pod)) if health.pod else None
    if about is None:
        about = index.by_name.get((subject.kind, subject.namespace, subject.deployment))
    if about is None:
        about = index.by_name.get(("InferenceService", subject.namespace, subject.object_name))
    if about is None or health.ready:
        return health
    cause = health.cause
    if cause and not cause.at:
        cause = replace(cause, at=status_time(about))
    owners = chain(index.by_name, about)
    if cause and any(f'secret "{name}" not found' in cause.message for name in subject.awaited):
        cause = replace(cause, grace=_AWAITED_SECONDS)
    if cause and cause.container:
        owners = (*owners, f"container {cause.container}")
    return replace(health, cause=cause, chain=health.chain or owners)


def _assess(subject: Subject, index: Index, answer: Answer | None) -> ModelHealth:
    service = index.by_name.get(("InferenceService", subject.namespace, subject.object_name))
    made = index.by_name.get((subject.kind, subject.namespace, subject.deployment))
    root = service if subject.kserve else made
    if root is None:
        return _missing(subject, index)
    pods = tuple(index.newest_pods(subject))
    behind = ready_pods(index.slices.get((subject.namespace, subject.service), ()))
    copies = replicas(made) if made else subject.replicas
    health = ModelHealth(
        subject,
        Phase.PENDING,
        pods=pods,
        wanted=copies * size(made) if made and subject.grouped else copies,
        answering=copies,
        created=str(root["metadata"].get("creationTimestamp", "")),
        answer=answer if any(one.name in behind for one in pods) else None,
        behind=behind,
    )
    if terminating(root):
        return replace(health, phase=Phase.TERMINATING, reason="Terminating", message="it is being deleted")
    held_up = _broken(health) or (
        _without_volume(health, index, made) or _downloading(health, index, made) if made else None
    )
    if held_up:
        return held_up
    if service is not None and subject.kserve:
        said = inference_service(service)
        if said.state is State.FAILED:
            cause = Cause(said.reason, said.message, grace=_SPEC_SECONDS, at=status_time(service))
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


def _missing(subject: Subject, index: Index) -> ModelHealth:
    """The phase of a model without a Deployment: nobody made one, or Llama Stack's operator has not."""
    kind = "InferenceService" if subject.kserve else subject.kind
    text = f"namespace {subject.namespace} has no {kind} {subject.object_name}"
    if not subject.operated:
        return ModelHealth(subject, Phase.ABSENT, "NotFound", text)
    found = index.by_name.get(("LlamaStackDistribution", subject.namespace, subject.object_name))
    if found is None:
        return ModelHealth(
            subject, Phase.ABSENT, "NotFound", f"{text}; Llama Stack's operator makes it: does that run?"
        )
    said, owners = llama_stack_distribution(found), chain(index.by_name, found)
    cause = None
    if said.state is State.FAILED:
        cause = Cause(said.reason, said.message, grace=_REFUSED_SECONDS, at=status_time(found))
    return ModelHealth(subject, Phase.PENDING, said.reason, said.message, cause, chain=owners)


def _without_volume(health: ModelHealth, index: Index, made: Object) -> ModelHealth | None:
    """The phase of a model whose pods wait for a volume that never comes."""
    if health.pods and all(one.phase.order > Phase.IMAGE.order for one in health.pods):
        return None
    found = claim_cause(index, health.subject.namespace, pod_template(made))
    if found is None:
        return None
    cause, item = found
    owners = (*chain(index.by_name, made), *chain(index.by_name, item))
    return replace(
        health, phase=Phase.SCHEDULING, reason=cause.reason, message=cause.message, cause=cause, chain=owners
    )


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
        cause = replace(cause, at=status_time(jobs[-1]))
        return replace(health, phase=Phase.WEIGHTS, reason="DownloadFailed", message=text, cause=cause, pod=latest)
    stopped = next((one for one in tried if one.cause), None)
    if stopped and stopped.cause:
        text = f"Job {name} cannot download the weights: {stopped.message}"
        return replace(
            health, phase=Phase.WEIGHTS, reason=stopped.reason, message=text, cause=stopped.cause, pod=stopped.name
        )
    held = _held_up(health, tried[-1], index, None) if tried and tried[-1].phase in _HELD else None
    if held and held.cause:
        text = f"Job {name} cannot download the weights: {held.message}"
        return replace(held, message=text, phase=Phase.WEIGHTS)
    text = f"Job {name} downloads the weights; {done.message}"
    return replace(health, phase=Phase.WEIGHTS, reason="Downloading", message=text, pod=latest)


def _rolling_out(health: ModelHealth, index: Index, made: Object) -> ModelHealth:
    """The phase of a model whose Deployment exists and whose pods nothing stops."""
    rollout, pods = leader_worker_set(made) if health.subject.grouped else deployment(made), health.pods
    waiting = replace(health, reason=rollout.reason, message=rollout.message)
    refused = _refused(health, index, made, rollout)
    if refused:
        waiting = replace(health, reason=refused.reason, message=refused.message)
        return waiting if index.leaving(health.subject.namespace) else replace(waiting, cause=refused)
    if health.wanted == 0:
        return _stopped(health, rollout)
    if rollout.reason == "NotObserved" or (len(pods) < health.wanted and all(one.ready for one in pods)):
        return waiting
    slowest = min(pods, key=lambda one: one.phase.order)
    if not slowest.ready:
        return _held_up(health, slowest, index, made)
    if rollout.current:
        return reachable(health)
    # The pods are ready, but they are not the ones that are wanted now.
    return waiting if rollout.reason == "Updating" else replace(waiting, phase=Phase.ENDPOINT)


def _refused(health: ModelHealth, index: Index, made: Object, rollout: Health) -> Cause | None:
    """Why pods may not be made: a quota, or admission; or None."""
    reason, message, at = rollout.reason, rollout.message, ""
    # A passed progress deadline is no failure while a pod still loads: loads take as long as they take.
    if rollout.state is not State.FAILED or reason == "ProgressDeadlineExceeded":
        # A LeaderWorkerSet says nothing of it; the StatefulSet of its leaders, which bears its name, does.
        named = (made["metadata"].get("namespace", ""), "StatefulSet", made["metadata"]["name"])
        said = newest(index.events_named(*named), "FailedCreate")
        if said is None or health.pods or not health.subject.grouped:
            return None
        reason, message, at = said.reason, said.message, said.at
    passes = "failed calling webhook" in message
    return Cause(reason, message, grace=_WEBHOOK_SECONDS if passes else _REFUSED_SECONDS, at=at)


def _held_up(health: ModelHealth, slowest: PodHealth, index: Index, made: Object | None) -> ModelHealth:
    """The phase of the pod that has come least far."""
    namespace = health.subject.namespace
    item = index.by_name.get(("Pod", namespace, slowest.name))
    events = index.events_of(item) if item else []
    reason, message, cause = slowest.reason, slowest.message, None
    if slowest.phase is Phase.SCHEDULING:
        without = unbound(index, namespace, pod_template(made)) if made else None
        if without:
            reason, message = without.reason, without.message
        else:
            cause = unschedulable(reason, message, events, index, namespace)
    elif slowest.phase is Phase.IMAGE:
        cause = mount_cause(events)
        if cause is None:
            reason, message = _coming(slowest, events)
    if cause:
        reason, message = cause.reason, cause.message
    return replace(health, phase=slowest.phase, reason=reason, message=message, cause=cause, pod=slowest.name)


def _coming(slowest: PodHealth, events: list[Event]) -> tuple[str, str]:
    """What a container that is being made waits for: the image, or a volume that has not come yet."""
    said = newest(events, "Pulling", "Pulled", "FailedMount", "FailedAttachVolume", "SuccessfulAttachVolume")
    if said is None or said.reason in {"Pulled", "SuccessfulAttachVolume"}:
        return slowest.reason, slowest.message
    return said.reason, said.message


def _stopped(health: ModelHealth, rollout: Health) -> ModelHealth:
    """A model with no pods on purpose is as it should be, if the catalog wants none."""
    if not rollout.current:
        return replace(health, reason=rollout.reason, message=rollout.message)
    if health.subject.replicas == 0:
        return replace(health, phase=Phase.READY, reason="ScaledToZero", message="0 replicas, as the catalog asks")
    text = f"it is scaled to 0 replicas; the catalog asks for {health.subject.replicas}"
    return replace(health, reason="ScaledToZero", message=text)
