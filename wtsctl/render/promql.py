"""PromQL about one model: which series are its own, and the quantiles of vLLM's histograms."""

from __future__ import annotations

from bisect import bisect_left

from wtsctl.catalog.model import Runtime
from wtsctl.catalog.smoke import Budget, Metric, Statistic
from wtsctl.catalog.workload import Workload, predictor_name

# vLLM's histograms for what a budget limits, with the bounds of their buckets in seconds:
# vllm-project/vllm, vllm/v1/metrics/buckets.py
HISTOGRAMS: dict[Metric, str] = {
    Metric.TTFT: "vllm:time_to_first_token_seconds",
    Metric.TPOT: "vllm:request_time_per_output_token_seconds",
    Metric.TOTAL: "vllm:e2e_request_latency_seconds",
}
_BOUNDS: dict[Metric, tuple[float, ...]] = {
    Metric.TTFT: (
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
        160.0, 640.0, 2560.0,
    ),
    Metric.TPOT: (
        0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    ),
    Metric.TOTAL: (
        0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
        1920.0, 7680.0,
    ),
}  # fmt: skip
QUANTILES: dict[Statistic, str] = {
    Statistic.P50: "0.5",
    Statistic.P90: "0.9",
    Statistic.P95: "0.95",
    Statistic.P99: "0.99",
}
# A pod of a Deployment is called NAME-HASH-ID, as long as that has at most 58 characters before the id:
# k8s.io/apiserver/pkg/storage/names/generate.go
_WHOLE_NAME = 46


def deployment_of(load: Workload) -> str:
    """The name of the Deployment that runs a model; KServe makes its own."""
    return predictor_name(load.object_name) if load.spec.runtime is Runtime.KSERVE else load.object_name


def pods_like(name: str, *, grouped: bool = False) -> str:
    """A regular expression for the names of the pods of a Deployment or LeaderWorkerSet, and of no other's."""
    if grouped:
        return f"{name}-[0-9]+(-[0-9]+)?"
    if len(name) > _WHOLE_NAME:
        return f"{name[:_WHOLE_NAME]}.*"
    return f"{name}-[a-z0-9]{{1,10}}-[a-z0-9]{{5}}"


def series(load: Workload) -> str:
    """The label matchers of a model's own series."""
    pods = pods_like(deployment_of(load), grouped=load.grouped)
    return f'namespace="{load.namespace}",pod=~"{pods}"'


def quantile(metric: Metric, of: str, where: str, over: str = "5m") -> str:
    """The quantile of a metric over the last minutes, in seconds."""
    return f"histogram_quantile({of}, sum by (le) (rate({HISTOGRAMS[metric]}_bucket{{{where}}}[{over}])))"


def has_histograms(load: Workload) -> bool:
    """Whether the server counts its latencies; llama.cpp does not."""
    return load.spec.runtime is not Runtime.LLAMACPP


def told_from(budget: Budget) -> float:
    """The value from which a histogram tells that a budget is missed, in seconds.

    Inside a bucket nothing is known, so a quantile above the budget may only be guessed there: it is certain from
    the bucket's upper bound on. A budget above every bound stands for itself.
    """
    bounds = _BOUNDS[budget.metric]
    at = bisect_left(bounds, budget.seconds)
    return bounds[at] if at < len(bounds) else budget.seconds
