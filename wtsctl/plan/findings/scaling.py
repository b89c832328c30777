"""Findings about how many pods there are: autoscaling, quotas, disruption budgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any

from wtsctl.errors import TemplateError
from wtsctl.plan.findings.objects import mapping, number
from wtsctl.plan.findings.pods import Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject
from wtsctl.pods.made import countable, identity, scaled_by
from wtsctl.pods.quota import taken
from wtsctl.pods.requests import amount

_SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
# What a quota calls the sums that are computed here; every other key is left to the cluster.
_PARTS = {"cpu": "requests.cpu", "memory": "requests.memory"}


def _fixed(subject: Subject) -> Iterator[Hit]:
    scaled = {
        (str(mapping(made.doc, "metadata").get("namespace")), *_target(made.doc))
        for kind in _SCALERS
        for made in subject.kinds.get(kind, ())
    }
    for pod in subject.servers:
        name = str(mapping(pod.doc, "metadata").get("name"))
        # KServe's Deployment, which is what is scaled, is called so; its pods are counted by minReplicas.
        kserve = pod.kind == "InferenceService"
        target = ("Deployment", f"{name}-predictor") if kserve else (pod.kind, name)
        counted = "minReplicas" in pod.spec if kserve else "replicas" in mapping(pod.doc, "spec")
        if (pod.namespace, *target) in scaled and counted:
            text = "its number of pods is written down and scaled as well: each deploy sets it back"
            yield Hit((*pod.path, "replicas"), text, about=pod.about)


def _target(doc: Mapping[str, Any]) -> tuple[str, str]:
    target = mapping(doc, "spec", "scaleTargetRef")
    return str(target.get("kind", "Deployment")), str(target.get("name"))


def most_pods(pod: Pod) -> int:
    """How many pods there can be, when it is scaled as far as it goes."""
    scale = pod.workload.spec.autoscale if pod.workload and pod.serves else None
    return max(pod.replicas, scale.max if scale else 0)


def _quota(subject: Subject) -> Iterator[Hit]:
    quotas = subject.kinds.get("ResourceQuota", ())
    if not quotas:
        return
    sums = _taken(subject)
    for made in quotas:
        namespace = str(mapping(made.doc, "metadata").get("namespace"))
        if mapping(made.doc, "spec").get("scopeSelector") or mapping(made.doc, "spec").get("scopes"):
            continue
        for key, hard in mapping(made.doc, "spec", "hard").items():
            name = _PARTS.get(str(key), str(key))
            needed = sums[namespace].get(name, 0)
            if needed > _hard(name, hard):
                shown = _number(Fraction(needed, 1000) if name.endswith(".cpu") else Fraction(needed))
                text = f"allows {hard} of {key} in {namespace}, and the objects of the catalog take {shown}"
                yield Hit(subject.owner(made) or ("platform", "quota"), text, about=identity(made.doc))


def _taken(subject: Subject) -> defaultdict[str, defaultdict[str, int]]:
    """What quotas count of all objects in each namespace; one that the API server would not take takes nothing."""
    scaled: dict[tuple[str, str], tuple[int, int]] = {}
    docs = [made.doc for made in subject.objects if not made.partial]
    for doc in docs:
        with suppress(TemplateError), countable(doc):
            scaled |= scaled_by([doc])
    sums: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for doc in docs:
        namespace = str(mapping(doc, "metadata").get("namespace", ""))
        with suppress(TemplateError), countable(doc):
            for name, value in taken(doc, scaled, rollout=False).items():
                sums[namespace][name] += value
    return sums


def _hard(name: str, given: object) -> int:
    """A limit of a quota, in the unit of its sum; none where it is no quantity."""
    try:
        return amount("cpu" if name.endswith(".cpu") else name, given)
    except ValueError:
        return 0


def _number(value: Fraction) -> str:
    gib = value / 1024**3
    return f"{float(gib):g}Gi" if gib >= 1 else f"{float(value):g}"


def _undrainable(subject: Subject) -> Iterator[Hit]:
    replicas = {
        (pod.namespace, str(key), str(value)): pod.replicas
        for pod in subject.servers
        for key, value in pod.labels.items()
    }
    for made in subject.kinds.get("PodDisruptionBudget", ()):
        spec = mapping(made.doc, "spec")
        namespace = str(mapping(made.doc, "metadata").get("namespace"))
        labels = mapping(spec, "selector", "matchLabels").items()
        counts = [replicas.get((namespace, str(key), str(value)), 0) for key, value in labels]
        pods = min(counts, default=0)
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if most in (0, "0", "0%") or least == "100%" or (pods and number(least, 0) >= pods):
            text = f"it allows none of {pods} pod{'' if pods == 1 else 's'} to be stopped"
            yield Hit(subject.owner(made), text, about=identity(made.doc))


RULES = (
    Rule(
        "WTS901",
        "replicas-fixed-and-scaled",
        Severity.WARNING,
        "Number of pods is both fixed and scaled",
        "Every apply sets the number back to the one in the manifest, and the autoscaler changes it again: pods that "
        "load for minutes are stopped in the middle of a class.",
        "Leave `replicas` out of the manifest of what is scaled, as our templates do.",
        "kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale",
        _fixed,
    ),
    Rule(
        "WTS902",
        "quota-below-need",
        Severity.ERROR,
        "Quota smaller than what the catalog asks for",
        "Pods above the quota are not created at all: the Deployment reports `exceeded quota`, and a model scaled up "
        "stays at the pods that it has.",
        "Raise the quota, or leave it to `platform.quota`, which computes it.",
        "kubernetes.io/docs/concepts/policy/resource-quotas",
        _quota,
    ),
    Rule(
        "WTS903",
        "node-cannot-be-drained",
        Severity.WARNING,
        "Disruption budget that lets no pod go",
        "`kubectl drain` waits without end for a pod that may never be stopped, and so does every upgrade of the "
        "cluster's nodes.",
        "Use `maxUnavailable: 1`, as our template does.",
        "kubernetes.io/docs/tasks/run-application/configure-pdb",
        _undrainable,
    ),
)
