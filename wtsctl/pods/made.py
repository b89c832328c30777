"""The pods that an object makes, whatever kind it is of: from which templates, how many, and how many more at times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from wtsctl.errors import TemplateError

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
_REPLICATED = frozenset(("Deployment", "StatefulSet", "ReplicaSet", "LeaderWorkerSet", "LlamaStackDistribution"))
# The key of a predictor that holds the server: kserve/kserve, pkg/apis/serving/v1beta1/predictor.go.
_PREDICTORS = (
    "model",
    *("sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"),
)
# The key of the number that an autoscaler starts with, of that which it goes up to, and the default of the latter:
# KEDA's in kedacore/keda, apis/keda/v1alpha1/scaledobject_types.go; a HorizontalPodAutoscaler must say it.
_SCALERS: dict[str, tuple[str, str, int | None]] = {
    "ScaledObject": ("minReplicaCount", "maxReplicaCount", 100),
    "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", None),
}
Document = Mapping[str, Any]
Rounded = Callable[[float], int]
Scaled = Mapping[tuple[str, str], tuple[int, int]]
"""The least and the most replicas that an autoscaler sets, by namespace and name of what it scales."""


@dataclass(frozen=True, slots=True)
class Template:
    """What an object says about the pods that it makes.

    Attributes:
        labels: those that it says; its controller may add others.
        spec: of the pods, as it is written.
        worker: whether they only help others that answer, on further nodes.
    """

    labels: Mapping[str, Any]
    spec: Mapping[str, Any]
    worker: bool = False


def templates(doc: Document) -> tuple[Template, ...]:
    """The templates of an object's pods; none for a kind that makes no pods. What is not there is empty."""
    kind = doc.get("kind")
    if kind == "InferenceService":
        predictor = _at(doc, "spec", "predictor")
        labels = _at(doc, "metadata", "labels")
        worker = predictor.get("workerSpec")
        helpers = (Template(labels, worker, worker=True),) if isinstance(worker, Mapping) else ()
        return (Template(labels, _predictor(predictor)), *helpers)
    if kind == "LeaderWorkerSet":
        group = _at(doc, "spec", "leaderWorkerTemplate")
        helper = _at(group, "workerTemplate")
        leader = _at(group, "leaderTemplate") or helper
        return (_template(leader), _template(helper, worker=True))
    if kind == "LlamaStackDistribution":
        return (Template({}, {"containers": [_at(doc, "spec", "server", "containerSpec")]}),)
    keys = _TEMPLATES.get(str(kind))
    return () if keys is None else (_template(_at(doc, *keys)),)


def whole_templates(doc: Document) -> tuple[Template, ...]:
    """As `templates`, where each has containers.

    Raises:
        ValueError: one has none, which the API server would not take.
    """
    found = templates(doc)
    for template in found:
        containers = template.spec.get("containers")
        if not isinstance(containers, list) or not containers:
            raise ValueError("expected a list of containers where its pods are described")
    return found


def _template(found: Mapping[str, Any], *, worker: bool = False) -> Template:
    return Template(_at(found, "metadata", "labels"), _at(found, "spec"), worker)


def _predictor(predictor: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod of an InferenceService: KServe makes the server the first of the predictor's containers."""
    servers = [predictor[key] for key in _PREDICTORS if isinstance(predictor.get(key), Mapping)]
    beside = predictor.get("containers") or []
    return {**predictor, "containers": [*servers, *beside] if isinstance(beside, list) else beside}


def each(doc: Document, template: Template) -> int:
    """How many pods of a template there are in one replica.

    Raises:
        ValueError: it is no whole number.
    """
    if not template.worker:
        return 1
    if doc.get("kind") == "InferenceService":
        return max(whole(doc, "spec", "predictor", "workerSpec", "pipelineParallelSize", default=2) - 1, 0)
    return max(whole(doc, "spec", "leaderWorkerTemplate", "size", default=1) - 1, 0)


def replicas(doc: Document, scaled: Scaled) -> int:
    """How many replicas an object starts with.

    Raises:
        ValueError: it is no whole number.
    """
    kind = doc.get("kind")
    if kind in {"Job", "CronJob"}:
        return _of_job(doc, *(("spec",) if kind == "Job" else ("spec", "jobTemplate", "spec")))
    keys = ("spec", "predictor", "minReplicas") if kind == "InferenceService" else ("spec", "replicas")
    counted = kind in _REPLICATED or kind == "InferenceService"
    # Where no number is written an autoscaler sets it.
    least, _ = _scale(doc, scaled)
    return whole(doc, *keys, default=least) if counted else 1


def most_replicas(doc: Document, scaled: Scaled) -> int:
    """How many replicas there can be, when an object is scaled as far as it goes.

    Raises:
        ValueError: it is no whole number.
    """
    _, most = _scale(doc, scaled)
    own = whole(doc, "spec", "predictor", "maxReplicas", default=0) if doc.get("kind") == "InferenceService" else 0
    return max(replicas(doc, scaled), own, most)


def _of_job(doc: Document, *keys: str) -> int:
    at_once = whole(doc, *keys, "parallelism", default=1)
    return min(at_once, whole(doc, *keys, "completions", default=at_once))


def _scale(doc: Document, scaled: Scaled) -> tuple[int, int]:
    metadata = _at(doc, "metadata")
    namespace, name = str(metadata.get("namespace", "")), str(metadata.get("name"))
    # KServe's Deployment is called so.
    names = (name, f"{name}-predictor") if doc.get("kind") == "InferenceService" else (name,)
    return next((scaled[namespace, one] for one in names if (namespace, one) in scaled), (1, 0))


def scale(doc: Document) -> tuple[tuple[str, str], tuple[int, int]] | None:
    """What an autoscaler scales, by namespace and name, from and up to how many replicas; None for other objects.

    One that may go down to none is counted with one: a model that cannot start when it is asked serves nobody.

    Raises:
        ValueError: it does not say what it scales, or how far.
    """
    known = _SCALERS.get(str(doc.get("kind")))
    if known is None:
        return None
    least, most, default = known
    name = _at(doc, "spec", "scaleTargetRef").get("name")
    if not isinstance(name, str):
        raise ValueError("spec.scaleTargetRef.name: expected the name of what it scales")  # noqa: TRY004 - of a text
    ceiling = whole(doc, "spec", most, default=-1 if default is None else default)
    if ceiling < 0:
        raise ValueError(f"spec.{most}: expected a whole number, and there is none")
    namespace = str(_at(doc, "metadata").get("namespace", ""))
    return (namespace, name), (max(1, whole(doc, "spec", least, default=1)), ceiling)


def overlap(doc: Document, count: int) -> int:
    """Replicas that a rollout of `count` adds: one that stops still counts while the one in its place is made.

    Raises:
        ValueError: its strategy is none.
    """
    kind = doc.get("kind")
    if kind == "LeaderWorkerSet":
        return _share(doc, ("spec", "rolloutStrategy", "rollingUpdateConfiguration", "maxSurge"), count, 0, math.ceil)
    # A StatefulSet waits until a pod is gone before it makes the next of that name.
    keys = {"Deployment": ("spec", "strategy"), "InferenceService": ("spec", "predictor", "deploymentStrategy")}
    strategy = keys.get(str(kind))
    if strategy is None or _at(doc, *strategy).get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    rolling = (*strategy, "rollingUpdate")
    # Both are 25 % where nothing is said; the one rounded up, the other down, and not both none:
    # kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
    surge = _share(doc, (*rolling, "maxSurge"), count, "25%", math.ceil)
    gone = _share(doc, (*rolling, "maxUnavailable"), count, "25%", math.floor)
    return max(surge, gone, 1) if count else 0


def _share(
    doc: Document, keys: tuple[str, ...], count: int, default: int | str, rounded: Callable[[float], int]
) -> int:
    value = _at(doc, *keys[:-1]).get(keys[-1])
    value = default if value is None else value
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return int(rounded(count * int(value[:-1]) / 100))
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{'.'.join(keys)}: expected a whole number or a percentage, got {value!r}")  # noqa: TRY004
    return value


def scaled_by(documents: Iterable[Document]) -> dict[tuple[str, str], tuple[int, int]]:
    """What autoscalers among some objects scale.

    Raises:
        ValueError: one does not say what it scales, or how far.
    """
    return dict(found for found in map(scale, documents) if found is not None)


def identity(doc: Document) -> str:
    """`NAMESPACE/KIND/NAME`, or `KIND/NAME` without a namespace."""
    metadata = _at(doc, "metadata")
    return "/".join(str(part) for part in (metadata.get("namespace"), doc.get("kind"), metadata.get("name")) if part)


@contextmanager
def countable(doc: Document) -> Iterator[None]:
    """Say of which object it is that its pods cannot be counted.

    Raises:
        TemplateError: what runs inside finds that the object is none that the API server would take.
    """
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise TemplateError(f"its pods cannot be counted: {error}", where=identity(doc)) from error


def whole(doc: Document, *keys: str, default: int) -> int:
    """A number of an object that is not below zero; the default where there is none, or null.

    Raises:
        ValueError: it is something else.
    """
    value = _at(doc, *keys[:-1]).get(keys[-1])
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{'.'.join(keys)}: expected a whole number, got {value!r}")
    return value


def _at(holder: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        holder = holder.get(key) if isinstance(holder, Mapping) else None
    return holder if isinstance(holder, Mapping) else {}
