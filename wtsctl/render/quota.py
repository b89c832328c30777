"""A ResourceQuota for each namespace, as large as what is rendered into it can use at most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.quantity import parse_quantity
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

_QUOTA = "shared/resourcequota.yaml.j2"
_COMPUTE = frozenset(("cpu", "memory", "ephemeral-storage"))
_MEBIBYTE = 1024**2

Document = Mapping[str, Any]


def jobs(asked: Asked, documents: Iterable[Document]) -> Iterator[Job]:
    """A quota for each namespace that is asked for and has pods of ours.

    Args:
        asked: for `platform.quota`.
        documents: everything that is rendered, also what is not selected: the namespace has to hold it all.
    """
    catalog = asked.catalog
    if catalog.platform.quota.mode is Mode.OFF:
        return
    for namespace, sums in _sums(documents).items():
        if namespace not in asked.namespaces:
            continue
        named = variables(catalog, namespace, sums)
        yield Job(_QUOTA, named, Stage.CONFIG, None, SHARED_PATH)


def variables(catalog: Catalog, namespace: str, sums: Mapping[str, Fraction]) -> dict[str, Any]:
    """Variables of `shared/resourcequota.yaml.j2`.

    Variables:
        hard: what the namespace may hold at most, by the names that a ResourceQuota has for it
    """
    room = 1 + Fraction(str(catalog.platform.quota.headroom))
    return {
        "namespace": namespace,
        "labels": labels(catalog, "quota", namespace, "quota"),
        "hard": {name: _shown(name, amount * room) for name, amount in sorted(sums.items())},
    }


def _sums(documents: Iterable[Document]) -> dict[str, dict[str, Fraction]]:
    documents = list(documents)
    ceilings = _ceilings(documents)
    sums: dict[str, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    with_pods: set[str] = set()
    for doc in documents:
        namespace = str(doc["metadata"].get("namespace", ""))
        held = sums[namespace]
        if size := _claim(doc):
            held["persistentvolumeclaims"] += 1
            held["requests.storage"] += size
        for count, pod in _pods(doc, ceilings):
            with_pods.add(namespace)
            held["pods"] += count
            for name, amount in _pod(pod).items():
                held[name] += count * amount
    return {namespace: dict(held) for namespace, held in sums.items() if namespace in with_pods}


def _claim(doc: Document) -> Fraction | None:
    """The size of the volume that an object asks for, itself or through its operator."""
    if doc["kind"] == "PersistentVolumeClaim":
        return parse_quantity(doc["spec"]["resources"]["requests"]["storage"])
    if doc["kind"] == "LlamaStackDistribution" and (storage := doc["spec"]["server"].get("storage")):
        return parse_quantity(storage.get("size", "10Gi"))
    return None


def _ceilings(documents: Iterable[Document]) -> dict[tuple[str, str], int]:
    """How many replicas an autoscaler goes up to, by namespace and name of what it scales."""
    keys = {"ScaledObject": "maxReplicaCount", "HorizontalPodAutoscaler": "maxReplicas"}
    return {
        (str(doc["metadata"].get("namespace", "")), str(doc["spec"]["scaleTargetRef"]["name"])): int(
            doc["spec"].get(keys[doc["kind"]], 1)
        )
        for doc in documents
        if doc["kind"] in keys
    }


def _pods(doc: Document, ceilings: Mapping[tuple[str, str], int]) -> Iterator[tuple[int, Document]]:
    """The pods that an object makes: how many of each spec there may be at once."""
    kind, spec, metadata = doc["kind"], doc.get("spec") or {}, doc["metadata"]
    ceiling = ceilings.get((str(metadata.get("namespace", "")), str(metadata["name"])), 0)
    if kind in {"Deployment", "StatefulSet"}:
        yield max(int(spec.get("replicas", 1)), ceiling) + _overlap(spec), spec["template"]["spec"]
    elif kind == "Job":
        yield int(spec.get("parallelism", 1)), spec["template"]["spec"]
    elif kind == "LeaderWorkerSet":
        copies, template = max(int(spec.get("replicas", 1)), ceiling), spec["leaderWorkerTemplate"]
        size, worker = int(template.get("size", 1)), template["workerTemplate"]["spec"]
        yield copies, (template.get("leaderTemplate") or template["workerTemplate"])["spec"]
        yield copies * (size - 1), worker
    elif kind == "InferenceService":
        predictor = spec["predictor"]
        most = max(int(predictor.get("minReplicas", 1)), int(predictor.get("maxReplicas") or 0), ceiling)
        overlap = _overlap({"strategy": predictor.get("deploymentStrategy") or {}})
        yield most + overlap, {"containers": [predictor["model"], *(predictor.get("containers") or ())]}
    elif kind == "LlamaStackDistribution":
        yield max(int(spec.get("replicas", 1)), ceiling), {"containers": [spec["server"].get("containerSpec") or {}]}


def _overlap(spec: Document) -> int:
    """Pods that a rollout adds: one that stops still counts while the one in its place is made."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0
    rolling = strategy.get("rollingUpdate") or {}
    counted = [
        value for value in (rolling.get("maxSurge", 1), rolling.get("maxUnavailable", 1)) if isinstance(value, int)
    ]
    return max(counted, default=1)


def _pod(spec: Document) -> dict[str, Fraction]:
    """What a quota counts of one pod: its containers together, or its largest init container if that is more."""
    found: dict[str, Fraction] = defaultdict(Fraction)
    for container in spec.get("containers") or ():
        for name, amount in _container(container).items():
            found[name] += amount
    for container in spec.get("initContainers") or ():
        for name, amount in _container(container).items():
            found[name] = max(found[name], amount)
    return found


def _container(container: Document) -> dict[str, Fraction]:
    given = container.get("resources") or {}
    found: dict[str, Fraction] = {}
    for part in ("requests", "limits"):
        for name, amount in (given.get(part) or {}).items():
            # Extended resources such as GPUs have a quota on requests alone.
            if name in _COMPUTE or part == "requests":
                found[f"{part}.{name}"] = parse_quantity(str(amount))
    return found


def _shown(name: str, amount: Fraction) -> str:
    """An amount as Kubernetes writes it, rounded up: bytes in Mi, cores in thousandths, the rest whole."""
    if name.endswith((".memory", ".storage", ".ephemeral-storage")):
        return f"{math.ceil(amount / _MEBIBYTE)}Mi"
    if name.endswith(".cpu"):
        thousandths = math.ceil(amount * 1000)
        return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
    return str(math.ceil(amount))
