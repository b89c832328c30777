"""What templates can name: plain data made from the catalog, the same for built-in templates and overlays.

Only dicts, lists, strings, numbers, booleans and None are handed over. A pydantic model would bring methods
along that read files, and a template must not be able to do I/O. docs/reference/templates.md lists every
variable.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.pods import Resources
from wtsctl.catalog.quantity import parse_quantity
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import Workload

MANAGED_BY = "wtsctl"
# The container listens here whatever port its Service has: a process that is not root cannot bind one below 1024.
CONTAINER_PORT = 8000
LLAMA_STACK_PORT = 8321
# Set by NVIDIA's GPU feature discovery on every GPU node.
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
TOKEN_SERVICE_ACCOUNT = "huggingface-token"  # noqa: S105 - the name of an account
# What a pod may spend on being scheduled and pulling its image, before its own start-up counts.
_PULL_SECONDS = 900
_SHM_BYTES_PER_GPU = 4 * 1024**3
# Llama Stack's own default for the longest answer; a model with a shorter context cannot give that many.
_MAX_ANSWER_TOKENS = 4096
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


def resources(spec: Resources, gpu_resource: str, gpus: int) -> dict[str, dict[str, str]]:
    """Requests and limits of a container; GPUs are requested exactly as they are limited."""
    devices = {gpu_resource: str(gpus)} if gpus else {}
    return {
        "requests": spec.requests.model_dump() | devices,
        "limits": spec.limits.model_dump() | devices,
    }


def placement(catalog: Catalog, gpus: int) -> dict[str, Any]:
    """Tolerations and node selector of a pod with that many GPUs; empty without any.

    GPU nodes are commonly tainted with the name of their resource, so that only GPU pods land there.
    """
    gpu = catalog.defaults.gpu
    if not gpus:
        return {"tolerations": [], "nodeSelector": {}}
    return {
        "tolerations": [{"key": gpu.resource, "operator": "Exists", "effect": "NoSchedule"}],
        "nodeSelector": {GPU_PRODUCT_LABEL: gpu.product} if gpu.product else {},
    }


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


def common(catalog: Catalog) -> dict[str, Any]:
    """Variables of every template."""
    huggingface = catalog.secrets.huggingface
    return {
        "installation": catalog.name,
        "cache": catalog.cache.model_dump(mode="json", by_alias=True) if catalog.cache else None,
        "huggingface": huggingface.model_dump(mode="json", by_alias=True) if huggingface else None,
        "tokenServiceAccount": TOKEN_SERVICE_ACCOUNT if huggingface else None,
    }


def shared(catalog: Catalog, namespace: str, component: str) -> dict[str, Any]:
    """Variables of the templates under `shared/`: one object that several models of a namespace use."""
    return {"namespace": namespace, "labels": labels(catalog, component, namespace, component)}


def model(catalog: Catalog, workload: Workload) -> dict[str, Any]:
    """Variables of a runtime's templates: the entry with every default filled in, and what follows from it."""
    spec, endpoint = workload.spec, workload.endpoint
    entry = spec.model_dump(mode="json", by_alias=True, exclude={"smoke", "budgets", "service", "path", "resources"})
    entry |= {
        "namespace": workload.namespace,
        "objectName": workload.object_name,
        "image": workload.image,
        "gpus": workload.gpus,
        "servedNames": list(workload.names),
    }
    cached = catalog.cache if spec.runtime is Runtime.VLLM else None
    return {
        "model": entry,
        "service": {"name": endpoint.service, "port": endpoint.port},
        "port": CONTAINER_PORT,
        "labels": labels(catalog, spec.runtime.value, workload.object_name, "model"),
        "selector": selector(workload.object_name),
        "resources": resources(spec.resources, catalog.defaults.gpu.resource, workload.gpus),
        "startupProbe": startup_probe(workload.startup_seconds),
        "progressDeadlineSeconds": math.ceil(workload.startup_seconds) + _PULL_SECONDS,
        "sharedMemory": shared_memory(spec.parallel.tensor, spec.resources.limits.memory),
        "strategy": strategy(spec.replicas, cached.access_mode if cached else None),
        # The image of KServe's runtime has a user of its own.
        "podSecurityContext": pod_security(None if spec.runtime is Runtime.KSERVE else catalog.defaults.run_as_user),
        **placement(catalog, workload.gpus),
    }


def llama_stack(catalog: Catalog, stack: LlamaStack, served: Mapping[str, Workload]) -> dict[str, Any]:
    """Variables of `llama-stack/config.yaml.j2`, and with `configHash` of the templates beside it.

    Args:
        catalog: the catalog.
        stack: its `llamaStack` entry.
        served: every workload by the name and aliases of its model.
    """
    models = [served[name] for name in stack.models]
    guard = served[stack.safety] if stack.safety else None
    if guard and guard not in models:
        models.append(guard)
    name = stack.service.name
    return {
        "llamaStack": stack.model_dump(
            mode="json", by_alias=True, exclude={"enabled", "models", "path", "safety", "resources"}
        )
        | {"image": stack.image or catalog.defaults.images.llama_stack},
        "port": LLAMA_STACK_PORT,
        "labels": labels(catalog, "llama-stack", name, "llama-stack"),
        "selector": selector(name),
        "resources": resources(stack.resources, "", 0),
        "podSecurityContext": pod_security(catalog.defaults.run_as_user),
        "providers": [
            {
                "id": workload.name,
                "model": workload.name,
                "url": workload.endpoint.url,
                "maxTokens": min(_MAX_ANSWER_TOKENS, workload.spec.max_model_len),
            }
            for workload in models
        ],
        "guard": guard.name if guard else None,
    }


def config_hash(config: Any) -> str:
    """What stands on the pods as an annotation, so that a changed configuration restarts them.

    It is made from what the configuration says, not from how it is written: a comment restarts nothing.
    """
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
