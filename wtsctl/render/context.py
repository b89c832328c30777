"""What templates can name: plain data made from the catalog, the same for built-in templates and overlays.

Only dicts, lists, strings, numbers, booleans and None are handed over. A pydantic model would bring methods
along that read files, and a template must not be able to do I/O. docs/reference/templates.md lists every
variable.
"""

from __future__ import annotations

import math
from typing import Any

from wtsctl.catalog.model import Catalog, Runtime
from wtsctl.catalog.quantity import parse_quantity
from wtsctl.catalog.workload import Workload

MANAGED_BY = "wtsctl"
# The container listens here whatever port its Service has: a process that is not root cannot bind one below 1024.
CONTAINER_PORT = 8000
TOKEN_SERVICE_ACCOUNT = "huggingface-token"  # noqa: S105 - the name of an account
# What a pod may spend on being scheduled and pulling its image, before its own start-up counts.
_PULL_SECONDS = 900
_SHM_BYTES_PER_GPU = 4 * 1024**3
_MEBIBYTE = 1024**2


def labels(catalog: Catalog, name: str, instance: str, component: str) -> dict[str, str]:
    """The recommended labels of one object.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": catalog.name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
    }


def selector(instance: str) -> dict[str, str]:
    """The labels that find the pods of a Deployment.

    A Deployment's selector can never change, so nothing is in it that an edit of models.yaml may change while
    the object keeps its name: neither the runtime nor the name of the installation.
    """
    return {"app.kubernetes.io/instance": instance, "app.kubernetes.io/managed-by": MANAGED_BY}


def startup_probe(seconds: float) -> dict[str, int]:
    """Period and failure threshold whose product is at least `seconds`.

    A short start is watched closely, so that it is noticed at once; a long one is not asked a thousand times.
    """
    period = 2 if seconds <= 300 else 10 if seconds <= 1800 else 30  # noqa: PLR2004
    return {"periodSeconds": period, "failureThreshold": math.ceil(seconds / period)}


def shared_memory(tensor: int, memory_limit: str) -> str | None:
    """The size of /dev/shm for tensor parallel workers, or None where there is one worker.

    4Gi a GPU, but at most half of the container's memory limit: the volume counts against that limit.
    """
    if tensor == 1:
        return None
    size = min(_SHM_BYTES_PER_GPU * tensor, int(parse_quantity(memory_limit) / 2))
    return f"{size // _MEBIBYTE}Mi"


def strategy(replicas: int, access_mode: str | None) -> dict[str, Any]:
    """How a Deployment replaces its pods: never by needing more GPUs or a second writer on the volume."""
    if replicas <= 1 or access_mode in {"ReadWriteOnce", "ReadWriteOncePod"}:
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def common(catalog: Catalog) -> dict[str, Any]:
    """Variables of every template."""
    defaults = catalog.defaults
    huggingface = catalog.secrets.huggingface
    return {
        "installation": catalog.name,
        "gpu": defaults.gpu.model_dump(mode="json", by_alias=True),
        "cache": catalog.cache.model_dump(mode="json", by_alias=True) if catalog.cache else None,
        "huggingface": huggingface.model_dump(mode="json", by_alias=True) if huggingface else None,
        "tokenServiceAccount": TOKEN_SERVICE_ACCOUNT if huggingface else None,
        "port": CONTAINER_PORT,
    }


def shared(catalog: Catalog, namespace: str, name: str, component: str) -> dict[str, Any]:
    """Variables of the templates under `shared/`: one object that several models of a namespace use."""
    return {"namespace": namespace, "labels": labels(catalog, name, name, component)}


def model(catalog: Catalog, workload: Workload) -> dict[str, Any]:
    """Variables of a runtime's templates: the model's entry with every default filled in, and what follows from it."""
    spec, endpoint = workload.spec, workload.endpoint
    entry = spec.model_dump(mode="json", by_alias=True, exclude={"smoke", "budgets", "service", "path"})
    entry |= {
        "namespace": workload.namespace,
        "objectName": workload.object_name,
        "image": workload.image,
        "gpus": workload.gpus,
        "servedNames": list(workload.served_names),
    }
    uses_cache = catalog.cache is not None and spec.runtime is Runtime.VLLM
    return {
        "model": entry,
        "service": {"name": endpoint.service, "port": endpoint.port, "prefix": endpoint.prefix},
        "labels": labels(catalog, spec.runtime.value, workload.object_name, "model"),
        "selector": selector(workload.object_name),
        "startupProbe": startup_probe(workload.startup_seconds),
        "progressDeadlineSeconds": math.ceil(workload.startup_seconds) + _PULL_SECONDS,
        "sharedMemory": shared_memory(spec.parallel.tensor, spec.resources.limits.memory),
        "strategy": strategy(spec.replicas, catalog.cache.access_mode if uses_cache and catalog.cache else None),
    }
