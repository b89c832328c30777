"""Findings about pods that the cluster refuses to admit, to place or to start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.pods import Container, devices
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject
from wtsctl.pods.made import identity
from wtsctl.pods.security import RESTRICTED, forbidden


def _not_admitted(subject: Subject) -> Iterator[Hit]:
    for pod in subject.pods:
        if subject.enforced.get(pod.namespace) == "restricted":
            wrong = forbidden(
                {**pod.spec, "containers": _specs(pod.containers), "initContainers": _specs(pod.initial)}, RESTRICTED
            )
            if wrong:
                text = f"the namespace {pod.namespace} admits no pod with {', '.join(wrong)}"
                yield Hit(pod.path, text, about=pod.about)


def _specs(containers: Iterable[Container]) -> list[Mapping[str, Any]]:
    return [one.spec for one in containers]


def _not_tolerated(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if pod.workload is None or not devices(pod):
            continue
        resource = (pod.workload.spec.gpu or subject.catalog.defaults.gpu).resource
        keys = [one.get("key") for one in items(pod.spec, "tolerations")]
        if resource not in keys and None not in keys:
            yield Hit(
                pod.path, f"it asks for {resource}, and does not tolerate the taint of that name", about=pod.about
            )


def _read_only(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        if devices(pod) and any(_is_read_only(container) for container in pod.containers):
            yield Hit(pod.path, "its container has GPUs and a root file system that is read-only", about=pod.about)


def _is_read_only(container: Container) -> bool:
    return mapping(container.spec, "securityContext").get("readOnlyRootFilesystem") is True


def _without_limits(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        lacking = [kind for kind in ("cpu", "memory") if pod.server and pod.server.amount("limits", kind) is None]
        if lacking:
            text = f"its server has no limit of {' and '.join(lacking)}"
            yield Hit((*pod.path, "resources"), text, about=identity(pod.doc))


RULES = (
    Rule(
        "WTS209",
        "pod-not-admitted",
        Severity.ERROR,
        "Pod that the namespace does not admit",
        "The namespace enforces the Pod Security Standard `restricted`. The Deployment is accepted, and its pods are "
        "not created: it reports FailedCreate with `violates PodSecurity`.",
        "Keep the securityContext of our templates, or set `platform.podSecurity` to a standard that allows it.",
        "kubernetes.io/docs/concepts/security/pod-security-standards",
        _not_admitted,
    ),
    Rule(
        "WTS210",
        "taint-not-tolerated",
        Severity.WARNING,
        "GPU pod that does not tolerate the GPU taint",
        "GPU nodes are commonly tainted so that nothing else lands there. The pod stays Pending with `had untolerated"
        " taint`.",
        "Tolerate the resource's name with operator Exists, as our templates do.",
        "kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration",
        _not_tolerated,
    ),
    Rule(
        "WTS211",
        "read-only-root-with-gpu",
        Severity.WARNING,
        "Read-only root file system with GPUs",
        "NVIDIA's container toolkit writes links to its libraries into the root file system when the container "
        "starts. Where it cannot, the container does not start, or finds no GPU.",
        "Leave `readOnlyRootFilesystem` false for servers with GPUs.",
        "llm-d-incubation/llm-d-modelservice, examples (nvidia-cdi-hook)",
        _read_only,
    ),
    Rule(
        "WTS212",
        "server-without-limits",
        Severity.WARNING,
        "Server without limits of its own",
        "Without a limit a server may take the memory of everything else on its node. In an InferenceService what is "
        "left out comes from the ServingRuntime: 1 CPU and 2Gi in KServe's own, in which no language model loads.",
        "Set `resources.requests` and `resources.limits`, and keep them in the template.",
        "kserve/kserve, config/runtimes/kserve-huggingfaceserver.yaml",
        _without_limits,
    ),
)
