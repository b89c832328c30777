"""Alerts about one model or Llama Stack, as the rules of a PrometheusRule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import Workload
from wtsctl.render.download import names
from wtsctl.render.pod import progress_seconds
from wtsctl.render.promql import QUANTILES, deployment_of, has_histograms, pods_like, quantile, series, told_from

Rule = dict[str, Any]
# For a model that does not say how many requests may wait.
_WAITING = 5
_FULL = 0.95
_RESTARTS = 2
_LLAMA_STACK_MINUTES = 10


def alerts(catalog: Catalog, load: Workload) -> list[Rule]:
    """The alerts about one model."""
    return [_rule(load.name, one) for one in _alerts(catalog, load)]


def stack_alerts(stack: LlamaStack) -> list[Rule]:
    """The alerts about Llama Stack; its own health says nothing about the models behind it."""
    name, namespace = stack.service.name, stack.namespace
    where = f'namespace="{namespace}",pod=~"{pods_like(name)}"'
    return [
        _rule("llama-stack", _not_ready(namespace, name, _LLAMA_STACK_MINUTES)),
        _rule("llama-stack", _restarting(where)),
    ]


_Alert = tuple[str, str, int, str, str]
"""Its name, its expression, for how many minutes that has to hold, its severity, what it says."""


def _rule(of: str, alert: _Alert) -> Rule:
    name, expression, minutes, severity, text = alert
    return {
        "alert": name,
        "expr": expression,
        "for": f"{minutes}m",
        "labels": {"severity": severity, "model": of},
        "annotations": {"summary": f"{of}: {text}", "description": f"`wtsctl status {of}` shows its pods and why."},
    }


def _alerts(catalog: Catalog, load: Workload) -> Iterator[_Alert]:
    where = series(load)
    # Longer than a start takes, its first download included, so that what is loading is not taken for broken.
    start = math.ceil(progress_seconds(catalog, load) / 60)
    if load.grouped:
        pods = f'sum(kube_pod_status_ready{{{where},condition="true"}}) == 0'
        yield "WtsModelNotReady", pods, start, "critical", "no pod has been ready for longer than a start takes"
    else:
        yield _not_ready(load.namespace, deployment_of(load), start)
    text = "its metrics have not been read for longer than a start takes"
    yield "WtsModelSilent", f"max(up{{{where}}}) == 0", start, "warning", text
    yield _restarting(where)
    limit = load.spec.autoscale.waiting if load.spec.autoscale else _WAITING
    metric = "llamacpp:requests_deferred" if load.spec.runtime is Runtime.LLAMACPP else "vllm:num_requests_waiting"
    text = f"more than {limit} requests wait for each pod"
    yield "WtsRequestsWaiting", f"avg({metric}{{{where}}}) > {limit}", 5, "warning", text
    if has_histograms(load):
        expression = f"max(vllm:kv_cache_usage_perc{{{where}}}) > {_FULL}"
        yield "WtsKvCacheFull", expression, 10, "warning", f"more than {_FULL:.0%} of the KV cache are in use"
    yield from _downloads(catalog, load)
    yield from _budgets(load, where)


def _not_ready(namespace: str, deployment: str, minutes: int) -> _Alert:
    where = f'namespace="{namespace}",deployment="{deployment}"'
    expression = (
        f"kube_deployment_status_replicas_available{{{where}}} == 0 and kube_deployment_spec_replicas{{{where}}} > 0"
    )
    text = "no pod has been ready for longer than a start takes"
    return "WtsModelNotReady", expression, minutes, "critical", text


def _restarting(where: str) -> _Alert:
    expression = f"max(increase(kube_pod_container_status_restarts_total{{{where}}}[1h])) > {_RESTARTS}"
    return (
        "WtsModelRestarting",
        expression,
        1,
        "warning",
        f"a container started anew more than {_RESTARTS} times in an hour",
    )


def _downloads(catalog: Catalog, load: Workload) -> Iterator[_Alert]:
    if load.spec.runtime is Runtime.VLLM and load.spec.download and catalog.cache:
        where = f'namespace="{load.namespace}",job_name=~"{names(load)}"'
        expression = f'kube_job_failed{{{where},condition="true"}} == 1'
        yield "WtsDownloadFailed", expression, 1, "critical", "the Job that downloads its weights has failed"
    if load.spec.runtime is Runtime.KSERVE:
        where = f'{series(load)},container="storage-initializer"'
        expression = f"max(increase(kube_pod_init_container_status_restarts_total{{{where}}}[1h])) > {_RESTARTS}"
        text = f"KServe began more than {_RESTARTS} times in an hour to download its weights"
        yield "WtsDownloadFailed", expression, 1, "critical", text


def _budgets(load: Workload, where: str) -> Iterator[_Alert]:
    """A budget is about smoke prompts; the alert holds it against all requests of the last minutes."""
    for budget in load.spec.budgets if has_histograms(load) else ():
        of = QUANTILES.get(budget.stat)
        if of is None:
            # The largest value of a histogram is only known by its bucket, which may begin far below the budget.
            continue
        limit = told_from(budget)
        more = "" if limit == budget.seconds else f", told by a histogram from {limit:g} s on"
        text = f"{budget.metric.value} {budget.stat.value} is above its budget of {budget.max}{more}"
        yield "WtsLatencyBudget", f"{quantile(budget.metric, of, where)} > {limit:g}", 10, "warning", text
