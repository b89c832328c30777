"""A model's health: a fold over its Deployment or InferenceService, its pods, its endpoints and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from wtsctl.health.claim import claim
from wtsctl.health.deployment import deployment, replicas
from wtsctl.health.endpoints import SERVICE_LABEL, ready_pods
from wtsctl.health.inferenceservice import inference_service
from wtsctl.health.pod import Cause, PodHealth, pod
from wtsctl.health.state import Health, Object, Phase, State, terminating

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSTANCE = "app.kubernetes.io/instance"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_NOT_ASKED = "NotAsked"
# KServe answers a change within a second or two.
_UNSEEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a model, or Llama Stack.

    Attributes:
        name: as the catalog and the table name it.
        runtime: `vllm`, `kserve`, `llamacpp` or `llama-stack`.
        namespace: where its objects are.
        object_name: of its Deployment or InferenceService.
        service: the Service in front of its pods.
        replicas: pods that the catalog wants.
        serves: the id that its endpoint has to list; empty where any list will do.
    """

    name: str
    runtime: str
    namespace: str
    object_name: str
    service: str
    replicas: int
    serves: str

    @property
    def kserve(self) -> bool:
        """Whether KServe makes its Deployment."""
        return self.runtime == "kserve"

    @property
    def deployment(self) -> str:
        """The name of its Deployment; KServe adds a suffix to its own."""
        return f"{self.object_name}-predictor" if self.kserve else self.object_name


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said when asked which models it serves.

    Attributes:
        ids: what it listed.
        failure: why it listed nothing; empty where it did.
    """

    ids: tuple[str, ...] = ()
    failure: str = ""

    def serves(self, model: str) -> bool:
        """Whether it listed the id `model`; with an empty one, whether it listed anything at all."""
        return not self.failure and (not model or model in self.ids)


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """How a model is.

    Attributes:
        subject: what this is about.
        phase: how far it has come.
        reason: why it is not further, in the cluster's word; empty when ready.
        message: the same in a sentence.
        cause: set where it gets no further by itself: it has failed.
        pod: the pod that `cause` or `reason` is about, if it is about one.
        pods: of the newest revision.
        wanted: how many pods the cluster is asked for.
        created: creation time of its Deployment or InferenceService, as RFC 3339; empty without one.
        answer: what its endpoint said, if it was asked.
        behind: names of the pods that its Service sends requests to, whosoever they are.
    """

    subject: Subject
    phase: Phase
    reason: str = ""
    message: str = ""
    cause: Cause | None = None
    pod: str = ""
    pods: tuple[PodHealth, ...] = ()
    wanted: int = 0
    created: str = ""
    answer: Answer | None = None
    behind: frozenset[str] = frozenset()

    @property
    def endpoints(self) -> int:
        """How many of its pods stand behind the Service; without one there is nobody to ask."""
        return sum(one.name in self.behind for one in self.pods)

    @property
    def askable(self) -> bool:
        """Whether nothing but an answer is missing, and whichever pod gives it is of the newest revision."""
        return self.reason == _NOT_ASKED

    @property
    def ready(self) -> bool:
        """Whether it serves, as far as can be told without a prompt."""
        return self.phase is Phase.READY

    @property
    def failed(self) -> bool:
        """Whether it gets no further by itself."""
        return self.cause is not None

    @property
    def grace(self) -> float:
        """Seconds for which its end, ready or failed, has to last before it is believed."""
        if self.cause is not None:
            return self.cause.grace
        # Nothing tells whether KServe has seen a change yet; until it has, the pods from before it look well.
        return _UNSEEN_SECONDS if self.subject.kserve else 0.0

    @property
    def shown(self) -> str:
        """The phase as tables and JSON name it: `failed` goes before how far it came."""
        return "failed" if self.failed else self.phase.value

    @property
    def ready_pods(self) -> int:
        """How many of its pods are ready."""
        return sum(one.ready for one in self.pods)

    @property
    def restarts(self) -> int:
        """Restarts of all containers of its pods."""
        return sum(one.restarts for one in self.pods)


@dataclass(slots=True)
class Index:
    """A cluster's objects, to be found by what a subject knows of them. Made once for each look."""

    by_name: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    pods: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    slices: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    replica_sets: dict[tuple[str, str], list[Object]] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[Object]) -> Index:
        """Sort objects of any kind."""
        index = cls()
        for item in objects:
            metadata = item["metadata"]
            namespace, labels = str(metadata.get("namespace", "")), metadata.get("labels") or {}
            index.by_name[item["kind"], namespace, str(metadata["name"])] = item
            if item["kind"] == "Pod":
                index.pods.setdefault((namespace, labels.get(_INSTANCE, "")), []).append(item)
            elif item["kind"] == "EndpointSlice":
                index.slices.setdefault((namespace, labels.get(SERVICE_LABEL, "")), []).append(item)
            elif item["kind"] == "ReplicaSet":
                for owner in metadata.get("ownerReferences") or []:
                    index.replica_sets.setdefault((namespace, owner.get("name", "")), []).append(item)
        return index

    def leaving(self, namespace: str) -> bool:
        """Whether pods are still going away there: until they are gone they count against its quota."""
        return any(terminating(one) for (space, _), pods in self.pods.items() if space == namespace for one in pods)

    def newest_pods(self, subject: Subject) -> list[PodHealth]:
        """The subject's pods of its Deployment's newest revision, those that are going away left out."""
        pods = [one for one in self.pods.get((subject.namespace, subject.object_name), []) if not terminating(one)]
        sets = self.replica_sets.get((subject.namespace, subject.deployment), [])
        if sets:
            newest = max(sets, key=lambda one: int((one["metadata"].get("annotations") or {}).get(_REVISION, 0)))
            wanted = (newest["metadata"].get("labels") or {}).get(_HASH)
            pods = [one for one in pods if (one["metadata"].get("labels") or {}).get(_HASH) == wanted]
        health = [pod(one) for one in sorted(pods, key=lambda one: str(one["metadata"]["name"]))]
        # One that ended (evicted) has been replaced, unless it is all there is.
        return [one for one in health if one.phase is not Phase.PENDING] or health


# A quota may be freed by what else is going on; an endpoint that has just come up may still list what it is loading.
_REFUSED_SECONDS = 10.0
_OTHER_MODEL_SECONDS = 5.0


def assess(subject: Subject, index: Index, answer: Answer | None = None) -> ModelHealth:
    """How `subject` is, by the objects in `index` and, once there is a ready pod, by its endpoint's `answer`."""
    service = index.by_name.get(("InferenceService", subject.namespace, subject.object_name))
    made = index.by_name.get(("Deployment", subject.namespace, subject.deployment))
    root = service if subject.kserve else made
    if root is None:
        kind = "InferenceService" if subject.kserve else "Deployment"
        text = f"namespace {subject.namespace} has no {kind} {subject.object_name}"
        return ModelHealth(subject, Phase.ABSENT, "NotFound", text)
    pods = tuple(index.newest_pods(subject))
    behind = ready_pods(index.slices.get((subject.namespace, subject.service), ()))
    health = ModelHealth(
        subject,
        Phase.PENDING,
        pods=pods,
        wanted=replicas(made) if made else subject.replicas,
        created=str(root["metadata"].get("creationTimestamp", "")),
        answer=answer if any(one.name in behind for one in pods) else None,
        behind=behind,
    )
    if terminating(root):
        return replace(health, phase=Phase.TERMINATING, reason="Terminating", message="it is being deleted")
    for one in pods:
        if one.cause:
            return replace(
                health, phase=one.phase, reason=one.reason, message=one.message, cause=one.cause, pod=one.name
            )
    if service is not None and subject.kserve:
        said = inference_service(service)
        if said.state is State.FAILED:
            cause = Cause(said.reason, said.message, grace=_UNSEEN_SECONDS)
            return replace(health, reason=said.reason, message=said.message, cause=cause)
        if made is None:
            text = said.message or "KServe has not made its Deployment yet"
            return replace(health, reason=said.reason, message=text)
    return health if made is None else _rolling_out(health, index, made)


def _rolling_out(health: ModelHealth, index: Index, made: Object) -> ModelHealth:
    """The phase of a model whose Deployment exists and whose pods nothing stops."""
    rollout, pods = deployment(made), health.pods
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
    volumes = made["spec"]["template"]["spec"].get("volumes") or []
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
    if health.endpoints < health.wanted:
        text = f"Service {subject.service} knows {health.endpoints} of {health.wanted} ready pods"
        return replace(at_endpoint, reason="NotInEndpoints", message=text)
    others = sorted(health.behind - {one.name for one in health.pods})
    if others:
        text = f"Service {subject.service} also sends requests to {', '.join(others)}"
        return replace(at_endpoint, reason="OtherEndpoints", message=text)
    if answer is None:
        return replace(at_endpoint, reason=_NOT_ASKED, message="its endpoint has not been asked yet")
    if answer.failure:
        return replace(at_endpoint, reason="NoAnswer", message=answer.failure)
    if not answer.serves(subject.serves):
        text = f"its endpoint serves {', '.join(answer.ids) or 'nothing'}, not {subject.serves}"
        cause = Cause("NotServed", text, grace=_OTHER_MODEL_SECONDS)
        return replace(at_endpoint, reason="NotServed", message=text, cause=cause)
    return replace(health, phase=Phase.READY)
