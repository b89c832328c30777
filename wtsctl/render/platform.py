"""What stands around the models, once for a namespace or the cluster: namespaces, weights volume, tokens, rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.platform import Platform, PriorityClass
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

# https://kubernetes.io/docs/concepts/security/pod-security-admission/
_POD_SECURITY = "pod-security.kubernetes.io"
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
    # Also where no model is: the lock, the members and the records of deploys lie in the catalog's own namespace.
    own = (catalog.defaults.namespace,) if asked.whole or asked.chosen else ()
    for namespace in dict.fromkeys((*asked.namespaces, *own, *_account_namespace(asked))):
        named = variables(catalog, namespace, "namespace")
        named["labels"] = namespace_labels(catalog.platform) | named["labels"]
        yield Job("shared/namespace.yaml.j2", named, Stage.NAMESPACE, None, SHARED_PATH)
    if (priority := catalog.platform.priority_class) is not None:
        yield Job("shared/priorityclass.yaml.j2", _priority(catalog, priority), Stage.CONFIG, None, SHARED_PATH)
    if catalog.cache:
        for namespace in dict.fromkeys(downloads):
            named = variables(catalog, namespace, "cache")
            yield Job("shared/persistentvolumeclaim.yaml.j2", named, Stage.CONFIG, None, SHARED_PATH)
    if catalog.secrets.huggingface:
        for namespace in dict.fromkeys(initialized):
            named = variables(catalog, namespace, "token")
            yield Job("shared/serviceaccount.yaml.j2", named, Stage.CONFIG, None, SHARED_PATH)


def _account_namespace(asked: Asked) -> tuple[str, ...]:
    """The namespace of the account for CI, where that has one of its own."""
    access = asked.catalog.platform.access
    return (access.namespace,) if asked.whole and access.mode is not Mode.OFF and access.namespace else ()


def namespace_labels(platform: Platform) -> dict[str, str]:
    """The labels of every namespace, beside those by which it is known as ours."""
    level = platform.pod_security
    # `warn` tells whoever applies a Deployment at once; its pods would only be refused later.
    enforced = {f"{_POD_SECURITY}/{mode}": level for mode in ("enforce", "warn")} if level else {}
    return dict(platform.namespace_labels) | enforced


def _priority(catalog: Catalog, priority: PriorityClass) -> dict[str, Any]:
    """Variables of `shared/priorityclass.yaml.j2`.

    Variables:
        priorityClass: `platform.priorityClass` of the catalog
    """
    return {
        "priorityClass": priority.model_dump(mode="json", by_alias=True),
        "labels": labels(catalog, "priority", priority.name, "priority"),
    }
