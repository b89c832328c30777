"""How Prometheus and Grafana see the models: monitors, alerts, dashboards.

Metrics: vLLM's by docs/design/metrics.md of vllm-project/vllm, llama.cpp's by tools/server/README.md of
ggml-org/llama.cpp; KServe's huggingface runtime serves vLLM's on its own port. What pods are and do beside that
comes from kube-state-metrics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.entry import Mode
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.pods import Labels
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.workload import SHARED_PATH, Workload
from wtsctl.render.alerts import alerts, stack_alerts
from wtsctl.render.dashboard import dashboards
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.network import pods_of
from wtsctl.render.pod import labels
from wtsctl.render.secrets import duration

API = "monitoring.coreos.com/v1"
_TEMPLATES = {"PodMonitor": "workload/podmonitor.yaml.j2", "ServiceMonitor": "workload/servicemonitor.yaml.j2"}
_RULE = "monitoring/prometheusrule.yaml.j2"
_DASHBOARD = "monitoring/configmap.yaml.j2"


def jobs(asked: Asked) -> Iterator[Job]:
    """A monitor and a PrometheusRule for each model, a PrometheusRule for Llama Stack, and the dashboards.

    Llama Stack has no monitor: it sends its metrics to an OpenTelemetry collector and serves none itself.
    """
    monitoring = asked.catalog.platform.monitoring
    for load in asked.chosen:
        if asked.wants(monitoring.monitors, API, monitoring.kind):
            yield Job(_TEMPLATES[monitoring.kind], monitor(asked, load), Stage.MODELS, load.name, load.path)
        if asked.wants(monitoring.rules, API, "PrometheusRule"):
            kind = labels(asked.catalog, load.spec.runtime.value, load.object_name, "model")
            named = rule(load.object_name, load.namespace, kind | monitoring.labels, alerts(asked.catalog, load))
            yield Job(_RULE, named, Stage.MODELS, load.name, load.path)
    if asked.stack and asked.wants(monitoring.rules, API, "PrometheusRule"):
        name = asked.stack.service.name
        kind = labels(asked.catalog, "llama-stack", name, "llama-stack")
        named = rule(name, asked.stack.namespace, kind | monitoring.labels, stack_alerts(asked.stack))
        yield Job(_RULE, named, Stage.LLAMA_STACK, None, asked.stack.path)
    # Of everything, so only where everything is rendered.
    if asked.whole and _dashboard_wanted(asked):
        namespace = asked.catalog.defaults.namespace
        for name, content in dashboards(asked.catalog.name, asked.everything).items():
            yield Job(_DASHBOARD, _dashboard(asked, namespace, name, content), Stage.CONFIG, None, SHARED_PATH)


def _dashboard_wanted(asked: Asked) -> bool:
    """Whether there is a dashboard: a ConfigMap is known everywhere, so `auto` goes by Prometheus' operator."""
    mode = asked.catalog.platform.monitoring.dashboard
    return mode is not Mode.OFF and asked.wants(mode, API, "PrometheusRule")


def monitor(asked: Asked, load: Workload) -> dict[str, Any]:
    """Variables of `workload/podmonitor.yaml.j2` and `workload/servicemonitor.yaml.j2`.

    Variables:
        name: name of the object
        namespace: the namespace of the object
        pods: the labels of the pods that it is about
        interval: how often metrics are read
        key: where the API key lies (`name` of the Secret, `key` in it) that its `/metrics` asks for, or `none`
    """
    monitoring = asked.catalog.platform.monitoring
    # vLLM guards the paths under /v1 alone; llama.cpp guards all but a few, and /metrics is not among those.
    guarded = load.spec.api_key if load.spec.runtime is Runtime.LLAMACPP else None
    return {
        "name": load.object_name,
        "namespace": load.namespace,
        "labels": labels(asked.catalog, load.spec.runtime.value, load.object_name, "model") | monitoring.labels,
        "pods": pods_of(load),
        "interval": duration(parse_duration(monitoring.interval)),
        "key": {"name": guarded.name, "key": guarded.key} if guarded else None,
    }


def rule(name: str, namespace: str, named: Labels, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Variables of `monitoring/prometheusrule.yaml.j2`.

    Variables:
        alerts: the rules of the group, each with `alert`, `expr`, `for`, `labels` and `annotations`
    """
    return {"name": name, "namespace": namespace, "labels": named, "alerts": rules}


def _dashboard(asked: Asked, namespace: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Variables of `monitoring/configmap.yaml.j2`.

    Variables:
        dashboard: the dashboard as Grafana reads it, JSON in one line
    """
    return {
        "name": name,
        "namespace": namespace,
        "labels": labels(asked.catalog, "dashboard", name, "monitoring"),
        "dashboard": json.dumps(content, separators=(",", ":"), sort_keys=True),
    }
