"""Dashboards for Grafana: a row for each model, with its budgets as lines in the graphs of latency.

Form: https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from wtsctl.catalog.model import Runtime
from wtsctl.catalog.smoke import Metric
from wtsctl.catalog.workload import Workload
from wtsctl.render.promql import has_histograms, quantile, series

# One ConfigMap holds at most 1 MiB, which is about 200 models.
_MODELS_OF_ONE = 100
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _ROW = 8, 8, 3
_LATENCIES = {
    Metric.TTFT: "Time to first token",
    Metric.TPOT: "Time per later token",
    Metric.TOTAL: "Time to last token",
}
_SHOWN = ("0.5", "0.95", "0.99")

Panel = dict[str, Any]


def dashboards(installation: str, loads: Sequence[Workload]) -> dict[str, dict[str, Any]]:
    """The dashboards by the name of their ConfigMap; one for up to a hundred models."""
    parts = [loads[at : at + _MODELS_OF_ONE] for at in range(0, len(loads), _MODELS_OF_ONE)]
    names = [f"{installation}-dashboard" + (f"-{at + 1}" if at else "") for at in range(len(parts))]
    titles = [
        f"{installation}: models" + (f" ({at + 1} of {len(parts)})" if len(parts) > 1 else "")
        for at in range(len(parts))
    ]
    return {name: _dashboard(name, title, part) for name, title, part in zip(names, titles, parts, strict=True)}


def _dashboard(name: str, title: str, loads: Sequence[Workload]) -> dict[str, Any]:
    panels: list[Panel] = []
    top = 0
    for load in loads:
        row = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "title": load.name, "collapsed": False, "gridPos": row, "panels": []})
        made = list(_panels(load))
        for at, panel in enumerate(made):
            place = {"h": _HEIGHT, "w": _WIDTH, "x": at % _ROW * _WIDTH, "y": top + 1 + at // _ROW * _HEIGHT}
            panels.append(panel | {"gridPos": place})
        top += 1 + -(-len(made) // _ROW) * _HEIGHT
    return {
        # At most 40 characters, and the same at each rendering, so that links to it go on working.
        "uid": hashlib.sha256(name.encode()).hexdigest()[:40],
        "title": title,
        "tags": ["wtsctl"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [panel | {"id": at + 1} for at, panel in enumerate(panels)],
    }


def _panels(load: Workload) -> Iterator[Panel]:
    where = series(load)
    yield _graph("Pods", "short", [("ready", f'sum(kube_pod_status_ready{{{where},condition="true"}})')])
    if load.spec.runtime is Runtime.LLAMACPP:
        running, waiting = "llamacpp:requests_processing", "llamacpp:requests_deferred"
        tokens = {"prompt": "llamacpp:prompt_tokens_total", "answer": "llamacpp:tokens_predicted_total"}
    else:
        running, waiting = "vllm:num_requests_running", "vllm:num_requests_waiting"
        tokens = {"prompt": "vllm:prompt_tokens_total", "answer": "vllm:generation_tokens_total"}
    requests = [("running", f"sum({running}{{{where}}})"), ("waiting", f"sum({waiting}{{{where}}})")]
    yield _graph("Requests", "short", requests)
    rates = [(name, f"sum(rate({metric}{{{where}}}[5m]))") for name, metric in tokens.items()]
    yield _graph("Tokens per second", "short", rates)
    if has_histograms(load):
        yield _graph("KV cache in use", "percentunit", [("largest", f"max(vllm:kv_cache_usage_perc{{{where}}})")])
        for metric, title in _LATENCIES.items():
            quantiles = [(f"p{float(of) * 100:g}", quantile(metric, of, where)) for of in _SHOWN]
            budgets = [budget.seconds for budget in load.spec.budgets if budget.metric is metric]
            yield _graph(title, "s", quantiles, budgets)


def _graph(title: str, unit: str, queries: Sequence[tuple[str, str]], limits: Sequence[float] = ()) -> Panel:
    defaults: dict[str, Any] = {"unit": unit, "min": 0}
    if limits:
        # A line at each budget.
        steps = [{"color": "green", "value": None}, *({"color": "red", "value": limit} for limit in sorted(limits))]
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"datasource": _SOURCE, "expr": expression, "legendFormat": name, "refId": chr(ord("A") + at)}
            for at, (name, expression) in enumerate(queries)
        ],
    }
