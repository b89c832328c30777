"""A ResourceQuota for each namespace, as large as what is rendered into it can use at most."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.errors import CatalogError
from wtsctl.pods.made import countable, identity, scaled_by
from wtsctl.pods.quota import taken
from wtsctl.pods.requests import PODS
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

_QUOTA = "shared/resourcequota.yaml.j2"
_MEBIBYTE = 1024**2

Document = Mapping[str, Any]


def jobs(asked: Asked, documents: Iterable[Document]) -> Iterator[Job]:
    """A quota for each namespace that is asked for and has pods of ours.

    Args:
        asked: for `platform.quota`.
        documents: everything that is rendered, also what is not selected: the namespace has to hold it all.

    Raises:
        CatalogError: there is an object whose pods are as many as the cluster has nodes.
        TemplateError: an object is not what the API server would take for one of its kind.
    """
    catalog = asked.catalog
    if catalog.platform.quota.mode is Mode.OFF:
        return
    for namespace, sums in _sums(asked, documents).items():
        named = variables(catalog, namespace, sums)
        yield Job(_QUOTA, named, Stage.CONFIG, None, SHARED_PATH)


def variables(catalog: Catalog, namespace: str, sums: Mapping[str, int]) -> dict[str, Any]:
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


def _sums(asked: Asked, documents: Iterable[Document]) -> dict[str, dict[str, int]]:
    documents = list(documents)
    scaled: dict[tuple[str, str], tuple[int, int]] = {}
    for doc in documents:
        with countable(doc):
            scaled |= scaled_by([doc])
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for doc in documents:
        namespace = str(doc["metadata"].get("namespace", ""))
        if namespace not in asked.namespaces:
            continue
        if doc["kind"] == "DaemonSet":
            raise CatalogError(
                f"{identity(doc)} has as many pods as the cluster has nodes, which a computed quota cannot know",
                where=asked.where("platform", "quota"),
                hint="set the quota's mode to off and write a ResourceQuota under extra, or move the DaemonSet to "
                "another namespace",
            )
        with countable(doc):
            for name, value in taken(doc, scaled, rollout=True).items():
                sums[namespace][name] += value
    return {namespace: dict(held) for namespace, held in sums.items() if held.get(PODS)}


def _shown(name: str, amount: Fraction) -> str:
    """An amount as Kubernetes writes it, rounded up: bytes in Mi, cores in thousandths, the rest whole."""
    if name.endswith((".memory", ".storage", ".ephemeral-storage")):
        return f"{math.ceil(amount / _MEBIBYTE)}Mi"
    if name.endswith(".cpu"):
        thousandths = math.ceil(amount)
        return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
    return str(math.ceil(amount))
