"""Findings about KServe's InferenceServices."""

from __future__ import annotations

from collections.abc import Iterator

from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject, mapping

# What KServe's huggingface runtime answers before vLLM has loaded.
_TOO_EARLY = frozenset(("/", "/v2/health/ready", "/v2/health/live", "/v2", "/v1/models", "/openai/v1/models"))


def _too_early(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        # Other runtimes have health routes of their own.
        prefix = pod.workload.spec.kserve.openai_prefix if pod.workload else ""
        if pod.kind != "InferenceService" or pod.server is None or prefix == "/v1":
            continue
        for kind in ("readinessProbe", "startupProbe"):
            probe = mapping(pod.server.spec, kind)
            path = mapping(probe, "httpGet").get("path")
            if not probe and kind == "startupProbe":
                continue
            if not isinstance(path, str):
                what = "is none, so that KServe's own, a TCP connect, is used" if not probe else "asks for no route"
                yield Hit(pod.path, f"the {kind} {what}, which passes before the model is loaded", about=pod.about)
            elif path in _TOO_EARLY:
                yield Hit(
                    pod.path, f"the {kind} asks {path}, which answers before the model is loaded", about=pod.about
                )


RULES = (
    Rule(
        "WTS501",
        "kserve-ready-too-early",
        Severity.ERROR,
        "InferenceService that is ready before its model is",
        "KServe's huggingface server opens its port and answers /v2/health/ready as soon as it runs. The "
        "InferenceService is Ready, requests arrive, and are answered with 500 until vLLM has loaded.",
        "Let the probes ask `/v2/models/NAME/ready`, as our template does.",
        "kserve/kserve, python/huggingfaceserver",
        _too_early,
    ),
)
