"""Findings about KServe's InferenceServices."""

from __future__ import annotations

from collections.abc import Iterator

from wtsctl.plan.findings.objects import mapping
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

# What KServe's huggingface runtime answers before vLLM has loaded.
_TOO_EARLY = frozenset(("/", "/v2/health/ready", "/v2/health/live", "/v2", "/v1/models", "/openai/v1/models"))
# What is mounted rather than downloaded.
_MOUNTED = ("pvc://", "oci://", "oci+native://")


def _too_early(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        # vLLM's own server has a health route of its own.
        huggingface = pod.workload is None or pod.workload.spec.kserve.runs == "huggingface"
        if pod.kind != "InferenceService" or pod.server is None or not huggingface:
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


def _token_out_of_reach(subject: Subject) -> Iterator[Hit]:
    if subject.catalog.secrets.huggingface is None:
        return
    for pod in subject.servers:
        uri = mapping(pod.spec, "model").get("storageUri")
        if pod.kind == "InferenceService" and str(uri).startswith("hf://") and not pod.spec.get("serviceAccountName"):
            text = f"{uri} is downloaded by an init container that does not get the token"
            yield Hit(pod.path, text, about=pod.about)


def _initializer_not_admitted(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        uri = mapping(pod.spec, "model").get("storageUri")
        if pod.kind != "InferenceService" or not isinstance(uri, str) or uri.startswith(_MOUNTED):
            continue
        if subject.enforced.get(pod.namespace) == "restricted" and not pod.spec.get("storageContainerName"):
            text = f"the init container for {uri} has no securityContext, and {pod.namespace} enforces restricted"
            yield Hit(pod.path, text, about=pod.about)


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
    Rule(
        "WTS502",
        "kserve-token-out-of-reach",
        Severity.ERROR,
        "Token that KServe's download does not get",
        "The storage initializer downloads the weights, and it gets its token through the pod's ServiceAccount alone,"
        " not through the environment of the model's container. A gated model ends with 401.",
        "Give the predictor `serviceAccountName`, of an account that lists the Secret, as our template does.",
        "kserve/kserve issue 4400",
        _token_out_of_reach,
    ),
    Rule(
        "WTS503",
        "kserve-initializer-not-admitted",
        Severity.WARNING,
        "Download by KServe where only restricted pods are admitted",
        "KServe adds the init container that downloads, and up to 0.20 gives it no securityContext: unless the "
        "cluster's ClusterStorageContainer has one, every pod is refused, and the InferenceService has no field "
        "for it.",
        "Let the server download (`kserve.downloadBy: server`), use a volume (`pvc://`), or have the securityContext "
        "added to the ClusterStorageContainer and ignore this finding in place.",
        "kserve/kserve issue 5373",
        _initializer_not_admitted,
    ),
)
