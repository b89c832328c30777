"""The objects under `extra` in models.yaml: as they stand there, with our labels, in a namespace and a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wtsctl.render import kinds
from wtsctl.render.job import Asked, Stage
from wtsctl.render.pod import MANAGED_BY

# What takes the place of a template's name in a manifest.
SOURCE = "extra"
# Kinds that run pods: they start once the configuration is there.
_WITH_PODS = frozenset(
    (
        "CronJob",
        "DaemonSet",
        "Deployment",
        "InferenceService",
        "Job",
        "LeaderWorkerSet",
        "LlamaStackDistribution",
        "Pod",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
    )
)


def stage(kind: str) -> Stage:
    """When a deploy applies an object: namespaces and kinds first, what runs pods with the models, the rest before."""
    if kind in {"Namespace", "CustomResourceDefinition"}:
        return Stage.NAMESPACE
    return Stage.MODELS if kind in _WITH_PODS else Stage.CONFIG


def objects(asked: Asked) -> Iterator[tuple[dict[str, Any], Stage]]:
    """Each object with its stage; none where only some models are asked for."""
    if not asked.whole:
        return
    catalog = asked.catalog
    for item in catalog.extra:
        metadata = dict(item["metadata"])
        if _in_no_namespace(item["apiVersion"], item["kind"], metadata):
            metadata.pop("namespace", None)
        elif metadata.get("namespace") is None:
            metadata.pop("namespace", None)
            metadata = {"name": metadata["name"], "namespace": catalog.defaults.namespace, **metadata}
        metadata["labels"] = {
            "app.kubernetes.io/component": "extra",
            **(metadata.get("labels") or {}),
            "app.kubernetes.io/part-of": catalog.name,
            "app.kubernetes.io/managed-by": MANAGED_BY,
        }
        yield {**item, "metadata": metadata}, stage(item["kind"])


def _in_no_namespace(api_version: str, kind: str, metadata: Mapping[str, Any]) -> bool:
    """Whether an object lies in no namespace: known of Kubernetes' own kinds, of others said by `namespace: null`."""
    if kinds.cluster_scoped(api_version, kind):
        return True
    return not kinds.built_in(api_version) and "namespace" in metadata and metadata["namespace"] is None
