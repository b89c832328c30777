"""Monitors, alerts and dashboards: right in form, about the right pods, and silent where nothing can be told."""

from __future__ import annotations

import json
import re
from typing import Any

import promql_parser
import pytest

from wtsctl.catalog.load import load
from wtsctl.catalog.smoke import Budget, Metric, Statistic
from wtsctl.commands.inputs import read_templates
from wtsctl.render.manifest import Manifest, render
from wtsctl.render.promql import pods_like, told_from

RESOURCES = "{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}"
CATALOG = f"""
apiVersion: wtsctl/v1
name: test
defaults:
  namespace: models
  images: {{vllm: "x:1", llamacpp: "x:1", llamaStack: "x:1"}}
cache: {{claim: weights, size: 1Gi}}
platform:
  monitoring: {{monitors: on, rules: on, dashboard: on, interval: 500ms, labels: {{release: prometheus}}}}
models:
- &model
  name: chat
  runtime: vllm
  model: a/chat
  role: chat
  maxModelLen: 8192
  startupTimeout: 90s
  resources: {RESOURCES}
  download: {{timeout: 1h}}
  smoke: [{{name: hi, prompt: Hi., assert: [{{icontains: hi}}]}}]
  budgets:
  - {{metric: ttft, stat: p50, max: 50ms}}
  - {{metric: tpot, stat: p95, max: 75ms}}
  - {{metric: total, stat: p99, max: 100ms}}
  - {{metric: total, stat: max, max: 10s}}
- {{<<: *model, name: code, runtime: kserve, download: null, startupTimeout: 10m}}
- <<: *model
  name: small
  runtime: llamacpp
  model: /x.gguf
  download: null
  apiKey: {{name: small-key, key: API_KEY}}
- {{<<: *model, name: large, parallel: {{tensor: 8, pipeline: 2}}}}
llamaStack:
  namespace: stack
  resources: {RESOURCES}
  models: [chat]
"""


def made(text: str = CATALOG, **options: Any) -> list[Manifest]:
    """What is rendered of monitoring."""
    kinds = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    found = render(load(text, filename="models.yaml").catalog, read_templates(None), **options)
    return [one for one in found if one.kind in kinds or one.template.startswith("monitoring/")]


def rules(text: str = CATALOG) -> dict[str, list[dict[str, Any]]]:
    """The alerts of each PrometheusRule."""
    return {one.name: one.doc["spec"]["groups"][0]["rules"] for one in made(text) if one.kind == "PrometheusRule"}


def panels(text: str = CATALOG) -> list[dict[str, Any]]:
    """All panels of all dashboards."""
    boards = [one for one in made(text) if one.kind == "ConfigMap"]
    return [panel for one in boards for data in one.doc["data"].values() for panel in json.loads(data)["panels"]]


def test_every_expression_parses() -> None:
    """Prometheus' grammar, types and functions take every expression of the alerts and the dashboard."""
    expressions = [one["expr"] for alerts in rules().values() for one in alerts]
    expressions += [target["expr"] for panel in panels() for target in panel.get("targets", [])]
    assert len(expressions) > 50
    for expression in expressions:
        promql_parser.parse(expression)
    # And it would tell.
    with pytest.raises(ValueError, match="expected type matrix"):
        promql_parser.parse("rate(up)")


def test_alerts_of_each_runtime() -> None:
    """Each model has the alerts that its server has metrics for; llama.cpp has no histograms and no KV cache gauge."""
    common = {"WtsModelNotReady", "WtsModelSilent", "WtsModelRestarting", "WtsRequestsWaiting"}
    vllm = common | {"WtsKvCacheFull", "WtsLatencyBudget", "WtsDownloadFailed"}
    names = {name: {one["alert"] for one in alerts} for name, alerts in rules().items()}
    assert names == {
        "chat": vllm,
        "code": vllm,
        "small": common,
        "large": vllm,
        "llamastack-server": {"WtsModelNotReady", "WtsModelRestarting"},
    }
    waiting = {
        name: next((one["expr"] for one in alerts if one["alert"] == "WtsRequestsWaiting"), "")
        for name, alerts in rules().items()
    }
    assert waiting["small"].startswith("avg(llamacpp:requests_deferred{")
    assert waiting["code"].startswith("avg(vllm:num_requests_waiting{")


def test_a_start_is_no_fault() -> None:
    """What a model that loads looks like has to last longer than pulling, downloading and starting may take."""
    lasting = {
        name: {one["alert"]: one["for"] for one in alerts if one["alert"] in {"WtsModelNotReady", "WtsModelSilent"}}
        for name, alerts in rules().items()
        if name in {"chat", "code"}
    }
    assert lasting["chat"] == {"WtsModelNotReady": "77m", "WtsModelSilent": "77m"}
    assert lasting["code"] == {"WtsModelNotReady": "25m", "WtsModelSilent": "25m"}


def test_budgets_as_alerts() -> None:
    """A budget's alert is about its metric and quantile, from the bound on where a histogram is sure of it."""
    found = [one for one in rules()["chat"] if one["alert"] == "WtsLatencyBudget"]
    bare = [re.sub(r"\{[^}]*\{.*?\}.*?\{.*?\}[^}]*\}", "", one["expr"]) for one in found]
    assert bare == [
        "histogram_quantile(0.5, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[5m]))) > 0.06",
        "histogram_quantile(0.95, sum by (le) (rate(vllm:request_time_per_output_token_seconds_bucket[5m]))) > 0.075",
        "histogram_quantile(0.99, sum by (le) (rate(vllm:e2e_request_latency_seconds_bucket[5m]))) > 0.3",
    ]
    said = [one["annotations"]["summary"] for one in found]
    assert said[0] == "chat: ttft p50 is above its budget of 50ms, told by a histogram from 0.06 s on"
    assert said[1] == "chat: tpot p95 is above its budget of 75ms"


@pytest.mark.parametrize(
    ("metric", "limit", "told"),
    [
        (Metric.TTFT, "1ms", 0.001),
        (Metric.TTFT, "101ms", 0.25),
        (Metric.TOTAL, "1ms", 0.3),
        (Metric.TOTAL, "2s", 2.0),
        (Metric.TPOT, "20h", 72000.0),
    ],
)
def test_from_where_a_histogram_tells(metric: Metric, limit: str, told: float) -> None:
    """It tells from the first bound that is not below the budget; above all of them there is only the budget itself."""
    assert told_from(Budget(metric=metric, stat=Statistic.P50, max=limit)) == told


def test_pods_of_one_model_only() -> None:
    """The names that Kubernetes gives the pods of a model match, and those of one whose name is longer do not."""
    like = re.compile(pods_like("vllm-8b"))
    assert like.fullmatch("vllm-8b-7d9f8c6b5d-x2x9z")
    assert not like.fullmatch("vllm-8b-large-7d9f8c6b5d-x2x9z")
    assert not like.fullmatch("other-vllm-8b-7d9f8c6b5d-x2x9z")
    long = "a" * 63
    # Kubernetes cuts NAME-HASH- at 58 characters and adds 5.
    assert re.fullmatch(pods_like(long), f"{long}-7d9f8c6b5d-"[:58] + "x2x9z")
    grouped = re.compile(pods_like("large", grouped=True))
    assert grouped.fullmatch("large-0")
    assert grouped.fullmatch("large-0-1")
    assert not grouped.fullmatch("large-0-1-2")


def test_monitors() -> None:
    """Each model's pods are read on the port that they name; a llama.cpp with a key is shown it, for it asks there."""
    monitors = {one.name: one.doc for one in made() if one.kind == "PodMonitor"}
    assert set(monitors) == {"chat", "code", "small", "large"}
    (endpoint,) = monitors["chat"]["spec"]["podMetricsEndpoints"]
    assert endpoint == {"port": "http", "path": "/metrics", "interval": "500ms"}
    assert monitors["chat"]["metadata"]["labels"]["release"] == "prometheus"
    assert monitors["code"]["spec"]["selector"] == {"matchLabels": {"serving.kserve.io/inferenceservice": "code"}}
    (endpoint,) = monitors["small"]["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": {"name": "small-key", "key": "API_KEY"}}
    others = [one.kind for one in made(CATALOG.replace("monitors: on", "monitors: on, kind: ServiceMonitor"))]
    assert others.count("ServiceMonitor") == 4
    assert "PodMonitor" not in others


def test_a_dashboard_of_all_models() -> None:
    """A row for each model, its budgets as lines, nothing on top of each other, every id once."""
    shown = panels()
    assert [one["title"] for one in shown if one["type"] == "row"] == ["chat", "code", "small", "large"]
    assert len({one["id"] for one in shown}) == len(shown)
    first = next(one for one in shown if one["title"] == "Time to first token")
    assert [one["value"] for one in first["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 0.05]
    taken: set[tuple[int, int]] = set()
    for one in shown:
        place = one["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_many_models_share_several_dashboards() -> None:
    """More models than one ConfigMap can hold are shown on several dashboards, none above what the API server takes."""
    head, _, rest = CATALOG.partition("models:\n")
    one = rest.partition("- {<<")[0]
    many = "".join(one.replace("name: chat", f"name: model-{at}").replace("&model", "") for at in range(250))
    boards = [item for item in made(f"{head}models:\n{many}") if item.kind == "ConfigMap"]
    assert [item.name for item in boards] == ["test-dashboard", "test-dashboard-2", "test-dashboard-3"]
    assert len({json.loads(next(iter(item.doc["data"].values())))["uid"] for item in boards}) == 3
    assert max(len(json.dumps(item.doc)) for item in boards) < 1024 * 1024


def test_auto_goes_by_the_cluster() -> None:
    """What is auto is there where the cluster has Prometheus' operator, and not elsewhere."""
    text = CATALOG.replace("monitors: on, rules: on, dashboard: on", "monitors: auto, rules: auto, dashboard: auto")
    assert made(text) == []
    known = {("monitoring.coreos.com/v1", "PodMonitor"), ("monitoring.coreos.com/v1", "PrometheusRule")}
    kinds = {one.kind for one in made(text, knows=lambda *kind: kind in known)}
    assert kinds == {"PodMonitor", "PrometheusRule", "ConfigMap"}


def test_one_model_alone() -> None:
    """Rendered alone, a model has its own monitor and alerts, and no dashboard of all the others."""
    assert [(one.kind, one.name) for one in made(selected={"chat"})] == [
        ("PodMonitor", "chat"),
        ("PrometheusRule", "chat"),
    ]
