"""What the manifests of every pod share: labels, probes, placement, security, resources. Plain data for templates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.pods import Resources, SecretReference
from wtsctl.catalog.quantity import parse_duration, parse_quantity
from wtsctl.catalog.workload import Workload

MANAGED_BY = "wtsctl"
# Set by NVIDIA's GPU feature discovery on every GPU node.
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
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


def progress_seconds(catalog: Catalog, workload: Workload) -> int:
    """How long a model's pod may take from being made to its first healthy answer, in seconds.

    That is the time for scheduling and pulling, for the download that it waits for, and for its own start.
    """
    spec = workload.spec
    download = spec.download if spec.runtime is Runtime.VLLM and catalog.cache else None
    waiting = parse_duration(download.timeout) if download else 0
    return math.ceil(workload.startup_seconds + waiting) + _PULL_SECONDS


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


def resources(spec: Resources, gpu_resource: str, gpus: int) -> dict[str, dict[str, str]]:
    """Requests and limits of a container; GPUs are requested exactly as they are limited."""
    devices = {gpu_resource: str(gpus)} if gpus else {}
    return {
        "requests": spec.requests.model_dump() | devices,
        "limits": spec.limits.model_dump() | devices,
    }


def placement(catalog: Catalog, workload: Workload) -> dict[str, Any]:
    """Where a model's pods may run, and what they are scheduled before.

    GPU nodes are commonly tainted with the name of their resource, so that only GPU pods land there.

    Variables:
        tolerations: for the taint of GPU nodes, and those of the model; empty without
        nodeSelector: for `gpu.product`, and that of the model; empty without
        priorityClassName: that of the model, else that of `platform.priorityClass`, or `none`
        imagePullSecrets: `platform.imagePullSecrets`, each with its `name`; empty without
    """
    spec, gpu, with_gpu = workload.spec, workload.gpu, workload.gpus > 0
    taint = [{"key": gpu.resource, "operator": "Exists", "effect": "NoSchedule"}] if with_gpu else []
    own = [toleration.model_dump(exclude_none=True) for toleration in spec.tolerations]
    product = {GPU_PRODUCT_LABEL: gpu.product} if with_gpu and gpu.product else {}
    priority = catalog.platform.priority_class
    return {
        "tolerations": taint + [one for one in own if one not in taint],
        "nodeSelector": product | spec.node_selector,
        "priorityClassName": spec.priority_class_name or (priority.name if priority else None),
        "imagePullSecrets": [{"name": name} for name in catalog.platform.image_pull_secrets],
    }


def environment(ours: Mapping[str, str | SecretReference], further: Mapping[str, str]) -> list[dict[str, Any]]:
    """A container's variables, each once: ours, a Secret's value by reference, and the catalog's, which win."""
    values: dict[str, str | SecretReference] = {**ours, **further}
    return [
        {"name": name, "value": value}
        if isinstance(value, str)
        else {"name": name, "valueFrom": {"secretKeyRef": {"name": value.name, "key": value.key}}}
        for name, value in values.items()
    ]


def pod_security(run_as_user: int | None) -> dict[str, Any]:
    """The pod's securityContext under the `restricted` Pod Security Standard.

    OpenShift gives every namespace its own user ids and refuses pods that name others, so a user is named only
    where the catalog does. Group 0 is what images made for arbitrary users can write as.
    """
    context: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if run_as_user is not None:
        # OnRootMismatch: changing the group of 500 GiB of weights file by file at every start takes minutes.
        context |= {
            "runAsUser": run_as_user,
            "runAsGroup": 0,
            "fsGroup": 0,
            "fsGroupChangePolicy": "OnRootMismatch",
        }
    return context
