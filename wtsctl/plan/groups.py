"""Rendered manifests → the pods that will run, in groups that only run together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.errors import TemplateError
from wtsctl.plan.requests import Need, need

_SCALERS = {"ScaledObject": "minReplicaCount", "HorizontalPodAutoscaler": "minReplicas"}


@dataclass(frozen=True, slots=True)
class Group:
    """One replica: a pod, or several that serve one model together.

    Attributes:
        owner: the object that makes it, as `NAMESPACE/KIND/NAME`.
        model: the model it serves; None for what serves none, such as Llama Stack.
        replica: its number, from 1.
        pods: what each of its pods asks for.
    """

    owner: str
    model: str | None
    replica: int
    pods: tuple[Need, ...]


def groups(objects: Iterable[tuple[Mapping[str, Any], str | None]]) -> tuple[Group, ...]:
    """The pods of rendered objects, each given with the model it belongs to.

    Deployments, StatefulSets, InferenceServices, LeaderWorkerSets and LlamaStackDistributions are counted, with as
    many replicas as they start with. Jobs are not: what they take is free again before a server starts.

    Raises:
        TemplateError: an object is not what the API server would take for one of its kind.
    """
    objects = list(objects)
    floors = _floors(doc for doc, _ in objects)
    return tuple(group for doc, model in objects for group in _groups(doc, model, floors))


def _groups(doc: Mapping[str, Any], model: str | None, floors: Mapping[tuple[str, str], int]) -> Iterator[Group]:
    kind, metadata, spec = str(doc.get("kind")), _map(doc, "metadata"), _map(doc, "spec")
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace", ""))
    owner = "/".join(part for part in (namespace, kind, name) if part)
    try:
        made = _pods(kind, spec)
        if made is None:
            return
        pods, replicas = made
        count = floors.get((namespace, name), 1) if replicas is None else int(replicas)
    except (ValueError, TypeError, AttributeError) as error:
        raise TemplateError(f"its pods cannot be counted: {error}", where=owner) from error
    for at in range(count):
        yield Group(owner, model, at + 1, pods)


def _pods(kind: str, spec: Mapping[str, Any]) -> tuple[tuple[Need, ...], int | None] | None:
    """The pods of one replica, and how many replicas; None for kinds that make no pods to be counted."""
    if kind in {"Deployment", "StatefulSet"}:
        return (need(_map(spec, "template", "spec")),), spec.get("replicas")
    if kind == "InferenceService":
        return _predictor(_map(spec, "predictor"))
    if kind == "LeaderWorkerSet":
        template = _map(spec, "leaderWorkerTemplate")
        worker = need(_map(template, "workerTemplate", "spec"))
        leader = need(_map(template, "leaderTemplate", "spec")) if "leaderTemplate" in template else worker
        return (leader, *[worker] * (int(template.get("size", 1)) - 1)), spec.get("replicas")
    if kind == "LlamaStackDistribution":
        server = _map(spec, "server", "containerSpec")
        return (need({"containers": [server]}),), spec.get("replicas")
    return None


def _predictor(predictor: Mapping[str, Any]) -> tuple[tuple[Need, ...], int | None]:
    # KServe makes `model` the first container of the pod whose other fields are the predictor's own.
    server = [predictor["model"]] if isinstance(predictor.get("model"), Mapping) else []
    pod = need(dict(predictor) | {"containers": [*server, *(predictor.get("containers") or ())]})
    worker = predictor.get("workerSpec")
    if not isinstance(worker, Mapping):
        return (pod,), predictor.get("minReplicas")
    stages = int(worker.get("pipelineParallelSize", 2))
    return (pod, *[need(worker)] * (stages - 1)), predictor.get("minReplicas")


def _floors(objects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """How many replicas an autoscaler starts with, by namespace and name of what it scales.

    One that may go down to none is counted with one: a model that cannot start when it is asked serves nobody.
    """
    found: dict[tuple[str, str], int] = {}
    for doc in objects:
        key = _SCALERS.get(str(doc.get("kind")))
        if key:
            target = str(_map(doc, "spec", "scaleTargetRef").get("name"))
            namespace = str(_map(doc, "metadata").get("namespace", ""))
            least = _map(doc, "spec").get(key, 1)
            found[namespace, target] = max(1, least) if isinstance(least, int) else 1
    return found


def _map(holder: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = holder
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
