"""What stands around the models, once for a namespace or the cluster: namespaces, weights volume, tokens, rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

TOKEN_SERVICE_ACCOUNT = "huggingface-token"  # noqa: S105 - the name of an account


def variables(catalog: Catalog, namespace: str, component: str) -> dict[str, Any]:
    """Variables of the templates under `shared/`: one object that several models of a namespace use.

    Variables:
        namespace: the namespace of the object
        labels: the [recommended labels](https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/)
    """
    return {"namespace": namespace, "labels": labels(catalog, component, namespace, component)}


def jobs(asked: Asked) -> Iterator[Job]:
    """What the chosen workloads need in their namespaces, each object once."""
    catalog = asked.catalog
    downloads = [load.namespace for load in asked.chosen if load.spec.runtime is Runtime.VLLM]
    initialized = [load.namespace for load in asked.chosen if load.spec.runtime is Runtime.KSERVE]
    for namespace in asked.namespaces:
        named = variables(catalog, namespace, "namespace")
        yield Job("shared/namespace.yaml.j2", named, Stage.NAMESPACE, None, SHARED_PATH)
    if catalog.cache:
        for namespace in dict.fromkeys(downloads):
            named = variables(catalog, namespace, "cache")
            yield Job("shared/persistentvolumeclaim.yaml.j2", named, Stage.CONFIG, None, SHARED_PATH)
    if catalog.secrets.huggingface:
        for namespace in dict.fromkeys(initialized):
            named = variables(catalog, namespace, "token")
            yield Job("shared/serviceaccount.yaml.j2", named, Stage.CONFIG, None, SHARED_PATH)
