"""Findings about how pods start, stop and are replaced."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from wtsctl.catalog.model import Runtime
from wtsctl.plan.findings.memory import load_seconds
from wtsctl.plan.findings.objects import items, mapping, number
from wtsctl.plan.findings.pods import Container, Pod, devices
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

# Kubernetes' own defaults: kubernetes.io/docs/reference/kubernetes-api/workload-resources.
_PROGRESS_SECONDS = 600
_GRACE_SECONDS = 30
_SURGE = "25%"


def probe_seconds(probe: Mapping[str, Any]) -> float:
    """How long a probe may fail before the kubelet acts."""
    tries = number(probe.get("failureThreshold"), 3) * number(probe.get("periodSeconds"), 10)
    return number(probe.get("initialDelaySeconds"), 0) + tries


def _short_budget(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        probe = mapping(pod.server.spec, "startupProbe") if pod.server else {}
        seconds = load_seconds(subject, pod)
        if probe and seconds is not None and probe_seconds(probe) < seconds:
            text = (
                f"the startup probe gives up after {_time(probe_seconds(probe))}, and loading takes about "
                f"{_time(seconds)} where weights are read at 100 MiB/s"
            )
            hint = f"set startupTimeout to {_time(seconds)} or more"
            yield Hit((*pod.path, "startupTimeout"), text, hint, pod.about)


def _short_deadline(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if pod.kind != "Deployment" or pod.server is None:
            continue
        deadline = number(mapping(pod.doc, "spec").get("progressDeadlineSeconds"), _PROGRESS_SECONDS)
        budget = probe_seconds(mapping(pod.server.spec, "startupProbe"))
        if "startupProbe" in pod.server.spec and deadline <= budget:
            text = (
                f"the rollout counts as failed after {_time(deadline)}, while a pod may take {_time(budget)} to start"
            )
            yield Hit(pod.path, text, about=pod.about)


def _killed_while_loading(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        server = pod.server
        if server is None or "livenessProbe" not in server.spec or "startupProbe" in server.spec:
            continue
        alive = probe_seconds(mapping(server.spec, "livenessProbe"))
        needed = max(load_seconds(subject, pod) or 0, pod.workload.startup_seconds if pod.workload else 0)
        if alive < needed:
            text = f"without a startup probe the liveness probe kills a pod that still loads after {_time(alive)}"
            yield Hit(pod.path, text, about=pod.about)


def _without_readiness(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        # KServe sets one of its own, which WTS501 is about.
        if pod.server and "readinessProbe" not in pod.server.spec and pod.kind != "InferenceService":
            text = "without a readiness probe, requests arrive while the model still loads"
            yield Hit(pod.path, text, about=pod.about)


def _surge(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        gpus = devices(pod)
        surge = surge_pods(pod)
        if gpus and surge:
            text = (
                f"an update starts {surge} more pod{'s' if surge > 1 else ''} with {gpus} GPU{'s' if gpus > 1 else ''} "
                "each before it stops the old one"
            )
            yield Hit(pod.path, text, about=pod.about)


def surge_pods(pod: Pod) -> int:
    """How many pods an update starts beside those that there are."""
    if pod.kind not in ("Deployment", "InferenceService", "LeaderWorkerSet"):
        return 0
    if pod.strategy.get("type") == "Recreate":
        return 0
    if pod.kind == "LeaderWorkerSet":
        return _count(mapping(pod.strategy, "rollingUpdateConfiguration").get("maxSurge", 0), pod.replicas)
    return _count(mapping(pod.strategy, "rollingUpdate").get("maxSurge", _SURGE), max(pod.replicas, 1))


def _count(value: Any, replicas: int) -> int:
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        return math.ceil(int(value[:-1]) * replicas / 100)
    return int(number(value, 0))


def _cut_off(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if pod.server is None:
            continue
        grace = number(pod.spec.get("terminationGracePeriodSeconds"), _GRACE_SECONDS)
        pause, drain = _pause(pod.server), _drain(pod.server)
        if pause + drain > grace:
            text = f"{pause:g} s before the signal and {drain:g} s after it, and it is killed after {grace:g} s"
            yield Hit(pod.path, text, about=pod.about)


def _pause(container: Container) -> float:
    hook = mapping(container.spec, "lifecycle", "preStop")
    command = mapping(hook, "exec").get("command")
    if isinstance(command, list) and len(command) == 2 and command[0] == "sleep":  # noqa: PLR2004
        return float(command[1]) if str(command[1]).isdigit() else 0
    return number(mapping(hook, "sleep").get("seconds"), 0)


def _drain(container: Container) -> float:
    text = container.option("--shutdown-timeout") or ""
    return float(text) if text.isdigit() else 0


def _no_home(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if pod.server is None or pod.workload is None or pod.workload.spec.runtime is not Runtime.VLLM:
            continue
        missing = [name for name in ("HOME", "USER", "HF_HOME") if name not in pod.server.env]
        if missing:
            yield Hit(pod.path, f"the server's environment lacks {', '.join(missing)}", about=pod.about)
        elif mapping(pod.server.spec, "securityContext").get("readOnlyRootFilesystem") is True:
            home = pod.server.env["HF_HOME"] or ""
            mounts = [str(mount.get("mountPath", "")) for mount in items(pod.server.spec, "volumeMounts")]
            if not any(home == mount or home.startswith(f"{mount}/") for mount in mounts if mount):
                text = f"HF_HOME is {home}, which lies on no volume, and the root file system is read-only"
                yield Hit(pod.path, text, about=pod.about)


def _closed_probe(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        server = pod.server
        if server is None or not ("VLLM_API_KEY" in server.env or "--api-key" in server.words):
            continue
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = mapping(server.spec, kind, "httpGet").get("path")
            if isinstance(path, str) and path.startswith("/v1"):
                yield Hit(
                    (*pod.path, "apiKey"), f"the {kind} asks {path}, which answers 401 without the key", about=pod.about
                )


def _time(seconds: float) -> str:
    """A duration as models.yaml writes it: whole minutes from two minutes on, rounded up."""
    return f"{math.ceil(seconds / 60)}m" if seconds >= 120 else f"{math.ceil(seconds)}s"  # noqa: PLR2004


RULES = (
    Rule(
        "WTS201",
        "probe-shorter-than-load",
        Severity.WARNING,
        "Startup probe gives up before the weights are loaded",
        "The kubelet kills a container whose startup probe has failed often enough, and starts it again from the "
        "beginning: a model that loads a little slower than the budget never serves. The estimate is the size of the "
        "weights at 100 MiB/s, which is a download at 840 Mbit/s or a shared network volume, and 2 minutes for "
        "compiling kernels and capturing CUDA graphs.",
        "Raise `startupTimeout`. If your storage is known to be faster, accept the finding in place.",
        "vllm-project/aibrix issue 772",
        _short_budget,
    ),
    Rule(
        "WTS202",
        "deadline-shorter-than-probe",
        Severity.WARNING,
        "Rollout counts as failed while a pod may still load",
        "A Deployment reports ProgressDeadlineExceeded, and `kubectl rollout status` and `wtsctl deploy` fail, for a "
        "pod that is pulling its image or loading as it should. Kubernetes' default is 10 minutes.",
        "Set `progressDeadlineSeconds` above the startup probe's budget, with room for pulling the image; our "
        "templates add 15 minutes.",
        "kserve/kserve issue 3795",
        _short_deadline,
    ),
    Rule(
        "WTS203",
        "liveness-kills-loading",
        Severity.ERROR,
        "Liveness probe kills the pod while it loads",
        "Without a startup probe the liveness probe counts from the beginning. It restarts a server that is loading "
        "its weights, which begins to load them again.",
        "Give the container a startup probe whose budget is `startupTimeout`.",
        "vllm-project/aibrix issue 772",
        _killed_while_loading,
    ),
    Rule(
        "WTS204",
        "no-readiness-probe",
        Severity.WARNING,
        "Server without a readiness probe",
        "A pod without one is ready as soon as its process runs. The Service sends it requests minutes before it can "
        "answer, and a rolling update stops the old pod.",
        "Give the container a readiness probe on `/health`.",
        "kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes",
        _without_readiness,
    ),
    Rule(
        "WTS205",
        "gpu-surge",
        Severity.WARNING,
        "Update needs more GPUs than the model has",
        "The new pod stays Pending with `Insufficient nvidia.com/gpu` as long as the old one runs, and the old one "
        "runs until the new one is ready. Where no GPUs are spare, the update never ends.",
        "Use `strategy: {type: Recreate}`, or a RollingUpdate with `maxSurge: 0`, as our templates do.",
        "LLMKube issue 192",
        _surge,
    ),
    Rule(
        "WTS206",
        "killed-before-drained",
        Severity.WARNING,
        "Pod is killed before its open requests are answered",
        "The time for finishing counts from the end of `preStop`, and both together have to fit into "
        "`terminationGracePeriodSeconds`. What is longer is cut off in the middle of an answer.",
        "Set `terminationGracePeriodSeconds` above the sum.",
        "llm-d/llm-d, guides (preStop 15 s, --shutdown-timeout 45, grace period 75 s)",
        _cut_off,
    ),
    Rule(
        "WTS207",
        "no-writable-home",
        Severity.WARNING,
        "Server without a home that it can write",
        "OpenShift runs containers as a user that has no entry in /etc/passwd and no home. vLLM then ends with "
        "`getpwuid` or `Permission denied: /.cache`; a cache on a read-only file system ends it too.",
        "Set HOME, USER and HF_HOME to places on volumes, as our templates do.",
        "llm-d-incubation/llm-d-modelservice issue 243; llm-d-benchmark issue 1573",
        _no_home,
    ),
    Rule(
        "WTS208",
        "probe-behind-key",
        Severity.ERROR,
        "Probe that is refused for want of the API key",
        "With an API key vLLM answers 401 to everything under /v1, and the kubelet sends no key: the pod is never "
        "ready.",
        "Let probes ask `/health`, which stays open.",
        "docs.vllm.ai, OpenAI-Compatible Server",
        _closed_probe,
    ),
)
