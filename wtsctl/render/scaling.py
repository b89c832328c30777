"""More pods of a model while requests wait: a KEDA ScaledObject, or a HorizontalPodAutoscaler."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Autoscale, Runtime
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.workload import SHARED_PATH, Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels
from wtsctl.render.promql import deployment_of, series

# For a trigger that may start the first pod and keep the last one, and shall never ask for a second.
_NEVER = 1_000_000
_AUTHENTICATION = "prometheus"


def jobs(asked: Asked) -> Iterator[Job]:
    """What scales each chosen model that asks for it, and once for a namespace how KEDA may ask Prometheus."""
    catalog = asked.catalog
    scaled = [(load, load.spec.autoscale) for load in asked.chosen if load.spec.autoscale]
    if catalog.platform.monitoring.prometheus_token:
        for namespace in dict.fromkeys(load.namespace for load, scale in scaled if scale.by == "keda"):
            named = {"authentication": _authentication(catalog, namespace)}
            yield Job("shared/triggerauthentication.yaml.j2", named, Stage.CONFIG, None, SHARED_PATH)
    for load, scale in scaled:
        kind = "scaledobject" if scale.by == "keda" else "horizontalpodautoscaler"
        named = {"autoscale": variables(catalog, load, scale)}
        yield Job(f"workload/{kind}.yaml.j2", named, Stage.MODELS, load.name, load.path)


def variables(catalog: Catalog, load: Workload, scale: Autoscale) -> dict[str, Any]:
    """Variables of `workload/scaledobject.yaml.j2` and `workload/horizontalpodautoscaler.yaml.j2`.

    Variables:
        autoscale.name: name of the object
        autoscale.namespace: its namespace
        autoscale.labels: its labels
        autoscale.target: `apiVersion`, `kind` and `name` of what is scaled
        autoscale.min: fewest pods
        autoscale.max: most pods
        autoscale.waiting: waiting requests, per pod, before another one is started
        autoscale.poll: seconds between two looks at the metric
        autoscale.cooldown: seconds that nothing may wait before a pod is stopped
        autoscale.metric: what an adapter for custom metrics calls the waiting requests of a pod
        autoscale.triggers: KEDA's, each with `name`, `query` and `threshold`
        autoscale.prometheus: address of the Prometheus that KEDA asks
        autoscale.authentication: name of the TriggerAuthentication, or `none`
    """
    monitoring = catalog.platform.monitoring
    return {
        "name": load.object_name,
        "namespace": load.namespace,
        "labels": labels(catalog, load.spec.runtime.value, load.object_name, "model"),
        "target": _target(load),
        "min": scale.min,
        "max": scale.max,
        "waiting": scale.waiting,
        "poll": math.ceil(parse_duration(scale.poll)),
        "cooldown": math.ceil(parse_duration(scale.cooldown)),
        "metric": scale.metric or _waiting_metric(load).replace(":", "_"),
        "triggers": _triggers(load, scale),
        "prometheus": monitoring.prometheus,
        "authentication": _AUTHENTICATION if monitoring.prometheus_token else None,
    }


def _target(load: Workload) -> dict[str, str]:
    if load.grouped:
        return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": load.object_name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment_of(load)}


def _waiting_metric(load: Workload) -> str:
    return "llamacpp:requests_deferred" if load.spec.runtime is Runtime.LLAMACPP else "vllm:num_requests_waiting"


def _running_metric(load: Workload) -> str:
    return "llamacpp:requests_processing" if load.spec.runtime is Runtime.LLAMACPP else "vllm:num_requests_running"


def _triggers(load: Workload, scale: Autoscale) -> list[dict[str, str]]:
    """KEDA's triggers. One is enough while a pod is always there; the others start the first and keep the last."""
    where = series(load)
    waiting = f"sum({_waiting_metric(load)}{{{where}}})"
    triggers = [{"name": "waiting", "query": waiting, "threshold": str(scale.waiting)}]
    if scale.activation is not None:
        busy = f"sum({_running_metric(load)}{{{where}}}) + {waiting}"
        triggers += [
            {"name": "busy", "query": busy, "threshold": str(_NEVER)},
            {"name": "wanted", "query": scale.activation, "threshold": str(_NEVER)},
        ]
    return triggers


def _authentication(catalog: Catalog, namespace: str) -> dict[str, Any]:
    """Variables of `shared/triggerauthentication.yaml.j2`.

    Variables:
        authentication.name: name of the TriggerAuthentication
        authentication.namespace: its namespace
        authentication.labels: its labels
        authentication.serviceAccount: ServiceAccount that KEDA asks the cluster for a token of, or `none`
        authentication.secret: name of the Secret with the token, or `none`
        authentication.key: key of the token in that Secret
        authentication.caKey: key of the CA certificate in it, or `none`
    """
    token = catalog.platform.monitoring.prometheus_token
    assert token is not None  # noqa: S101 - the caller asked
    return {
        "name": _AUTHENTICATION,
        "namespace": namespace,
        "labels": labels(catalog, "autoscaling", namespace, "autoscaling"),
        **token.model_dump(mode="json", by_alias=True),
    }
