"""The objects of one model: its server as a Deployment or InferenceService, its Service, and what scales with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.workload import Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import (
    labels,
    placement,
    pod_security,
    resources,
    selector,
    shared_memory,
    startup_probe,
    strategy,
)

# The container listens here whatever port its Service has: a process that is not root cannot bind one below 1024.
CONTAINER_PORT = 8000
# What a pod may spend on being scheduled and pulling its image, before its own start-up counts.
_PULL_SECONDS = 900
# A runtime's templates, in the order in which a deploy applies them.
_TEMPLATES: dict[Runtime, tuple[str, ...]] = {
    Runtime.VLLM: ("vllm/service.yaml.j2", "vllm/deployment.yaml.j2"),
    Runtime.KSERVE: ("kserve/inferenceservice.yaml.j2",),
    Runtime.LLAMACPP: ("llamacpp/service.yaml.j2", "llamacpp/deployment.yaml.j2"),
}


def variables(catalog: Catalog, workload: Workload) -> dict[str, Any]:
    """Variables of a runtime's templates: the entry with every default filled in, and what follows from it.

    Variables:
        model: a Model
        model.namespace: its namespace
        model.objectName: name of its Deployment or InferenceService
        model.image: container image; empty for KServe, whose ServingRuntime names it
        model.gpus: GPUs of one pod
        model.servedNames: all its ids, the main one first
        service.name: name of the Service
        service.port: port of the Service
        port: port that the container listens on
        selector: the labels that find the pods; a Deployment's selector cannot be changed later
        resources: `requests` and `limits` of the container, GPUs included
        startupProbe.periodSeconds: seconds between two startup probes
        startupProbe.failureThreshold: how many; times the period it covers `startupTimeout`
        progressDeadlineSeconds: `startupTimeout` and 15 minutes for scheduling and pulling the image
        sharedMemory: size of `/dev/shm`: 4Gi for each GPU, at most half of the memory limit; `none` without tensor
            parallel
        strategy: `Recreate` for one pod or a volume with one writer; otherwise rolling without an additional pod
        podSecurityContext: the pod's securityContext under the `restricted` Pod Security Standard, with
            `defaults.runAsUser`
        tolerations: for the taint of GPU nodes; empty without GPUs
        nodeSelector: for `defaults.gpu.product`; empty without
    """
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
        **placement(catalog.defaults.gpu, workload.gpus),
    }


def jobs(asked: Asked) -> Iterator[Job]:
    """The objects of each chosen model."""
    for workload in asked.chosen:
        named = variables(asked.catalog, workload)
        for template in _TEMPLATES[workload.spec.runtime]:
            yield Job(template, named, Stage.MODELS, workload.name, workload.path)
