"""A cluster's objects, to be found by what is known of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wtsctl.health.endpoints import SERVICE_LABEL
from wtsctl.health.events import Event, about, of_object
from wtsctl.health.leaderworkerset import newest_revision
from wtsctl.health.pod import PodHealth, pod
from wtsctl.health.scheduling import Autoscaler
from wtsctl.health.state import Object, Phase, terminating

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wtsctl.health.model import Subject

_INSTANCE = "app.kubernetes.io/instance"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
# What a Job downloads and pods wait for: templates/vllm.
_WEIGHTS = "wtsctl/weights"


def pod_template(made: Object) -> Object:
    """The template of the pods of a Deployment or LeaderWorkerSet, of the latter's workers."""
    spec = made["spec"]
    template: Object = spec["template"] if "template" in spec else spec["leaderWorkerTemplate"]["workerTemplate"]
    return template


def _annotation(item: Object, name: str) -> str:
    return str(((item.get("metadata") or {}).get("annotations") or {}).get(name, ""))


@dataclass(slots=True)
class Index:
    """A cluster's objects, to be found by what a subject knows of them. Made once for each look."""

    by_name: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    pods: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    slices: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    replica_sets: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], list[Object]] = field(default_factory=dict)
    events: dict[tuple[str, str, str], list[Object]] = field(default_factory=dict)
    autoscaler: Autoscaler = Autoscaler.NOT_ASKED
    _newest: dict[str, list[PodHealth]] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[Object], autoscaler: Autoscaler = Autoscaler.NOT_ASKED) -> Index:
        """Sort objects of any kind."""
        index = cls(autoscaler=autoscaler)
        for item in objects:
            metadata = item["metadata"]
            namespace, labels = str(metadata.get("namespace", "")), metadata.get("labels") or {}
            if item["kind"] == "Event":
                index.events.setdefault(about(item), []).append(item)
                continue
            index.by_name[item["kind"], namespace, str(metadata["name"])] = item
            if item["kind"] == "Pod":
                index.pods.setdefault((namespace, labels.get(_INSTANCE, "")), []).append(item)
            elif item["kind"] == "Job":
                index.jobs.setdefault((namespace, labels.get(_INSTANCE, "")), []).append(item)
            elif item["kind"] == "EndpointSlice":
                index.slices.setdefault((namespace, labels.get(SERVICE_LABEL, "")), []).append(item)
            elif item["kind"] == "ReplicaSet":
                for owner in metadata.get("ownerReferences") or []:
                    index.replica_sets.setdefault((namespace, owner.get("name", "")), []).append(item)
        return index

    def events_of(self, item: Object) -> list[Event]:
        """The events about an object, oldest first."""
        metadata = item["metadata"]
        where = (str(metadata.get("namespace", "")), str(item["kind"]), str(metadata["name"]))
        return of_object(self.events.get(where, ()), str(metadata.get("uid", "")))

    def events_named(self, namespace: str, kind: str, name: str) -> list[Event]:
        """The events about an object that is not followed itself."""
        return of_object(self.events.get((namespace, kind, name), ()))

    def leaving(self, namespace: str) -> bool:
        """Whether pods are still going away there: until they are gone they count against its quota."""
        return any(terminating(one) for (space, _), pods in self.pods.items() if space == namespace for one in pods)

    def newest_pods(self, subject: Subject) -> list[PodHealth]:
        """The subject's pods of its Deployment's newest revision, those that are going away left out."""
        # A subject is looked at twice: to see whether its endpoint can be asked, and with the answer.
        known = self._newest.get(subject.name)
        if known is None:
            known = self._newest[subject.name] = self._find_newest(subject)
        return known

    def _find_newest(self, subject: Subject) -> list[PodHealth]:
        pods = [one for one in self.pods.get((subject.namespace, subject.object_name), []) if not terminating(one)]
        sets = self.replica_sets.get((subject.namespace, subject.deployment), [])
        if subject.grouped:
            pods = newest_revision(pods)
        elif sets:
            newest = max(sets, key=lambda one: int((one["metadata"].get("annotations") or {}).get(_REVISION, 0)))
            wanted = (newest["metadata"].get("labels") or {}).get(_HASH)
            pods = [one for one in pods if (one["metadata"].get("labels") or {}).get(_HASH) == wanted]
        health = [pod(one) for one in sorted(pods, key=lambda one: str(one["metadata"]["name"]))]
        # One that ended (evicted) has been replaced, unless it is all there is.
        return [one for one in health if one.phase is not Phase.PENDING] or health

    def downloads(self, subject: Subject, made: Object) -> list[Object]:
        """The Jobs that download the weights which the pods of `made` wait for, the latest last.

        There may be some of other weights, from before a change or a way back; those that ended stay for a day.
        """
        weights = _annotation(pod_template(made), _WEIGHTS)
        jobs = self.jobs.get((subject.namespace, subject.object_name), []) if weights else []
        found = [one for one in jobs if _annotation(one, _WEIGHTS) == weights]
        return sorted(found, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))
