"""The objects of one model: its server as a Deployment, LeaderWorkerSet or InferenceService, and its Service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.workload import Workload
from wtsctl.render import chat_template, kserve
from wtsctl.render.arguments import llamacpp_arguments, vllm_arguments
from wtsctl.render.download import download
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import (
    environment,
    labels,
    placement,
    pod_security,
    progress_seconds,
    resources,
    selector,
    shared_memory,
    startup_probe,
    strategy,
)
from wtsctl.render.templates import Engine

# The container listens here whatever port its Service has: a process that is not root cannot bind one below 1024.
CONTAINER_PORT = 8000
# Labels that the LeaderWorkerSet controller puts on pods: sigs.k8s.io/lws/api/leaderworkerset/v1.
_GROUPS = "leaderworkerset.sigs.k8s.io/name"
_LEADER = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
# OpenShift runs the container as a user that has no entry in /etc/passwd and no home: Python asks USER for the name,
# and every cache goes to a volume that this user can write.
_VLLM_ENVIRONMENT = {
    "HOME": "/home/vllm",
    "USER": "vllm",
    "HF_HOME": "/cache/huggingface",
    "XDG_CACHE_HOME": "/home/vllm/.cache",
    "VLLM_CACHE_ROOT": "/home/vllm/.cache/vllm",
    "VLLM_CONFIG_ROOT": "/home/vllm/.config/vllm",
    "TRITON_CACHE_DIR": "/home/vllm/.cache/triton",
    "TORCHINDUCTOR_CACHE_DIR": "/home/vllm/.cache/torchinductor",
}
_HOST_IP = "VLLM_HOST_IP"
_DOWNLOAD = "vllm/job.yaml.j2"


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
        serviceSelector: the labels of the pods that answer: of a LeaderWorkerSet its leaders, otherwise all
        resources: `requests` and `limits` of the container, GPUs included
        startupProbe.periodSeconds: seconds between two startup probes
        startupProbe.failureThreshold: how many; times the period it covers `startupTimeout`
        progressDeadlineSeconds: `startupTimeout`, 15 minutes for scheduling and pulling the image, and the time of
            the download
        sharedMemory: size of `/dev/shm`: 4Gi for each GPU, at most half of the memory limit; `none` without tensor
            parallel
        chatTemplate: the mounted chat template (`configMap`, `key`, `folder`, `sha256` of a text in models.yaml), or
            `none`
        rolling: whether there may be several pods, so that others answer while one stops
        strategy: `Recreate` for one pod or a volume with one writer; otherwise rolling without an additional pod
        podSecurityContext: the pod's securityContext under the `restricted` Pod Security Standard, with
            `defaults.runAsUser`
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
        "serviceSelector": _LEADER | {_GROUPS: workload.object_name}
        if workload.grouped
        else selector(workload.object_name),
        "resources": resources(spec.resources, workload.gpu.resource, workload.gpus),
        "startupProbe": startup_probe(workload.startup_seconds),
        "progressDeadlineSeconds": progress_seconds(catalog, workload),
        "sharedMemory": shared_memory(spec.parallel.tensor, spec.resources.limits.memory),
        "chatTemplate": chat_template.mount(workload),
        "rolling": workload.pods > 1,
        "strategy": strategy(workload.pods, cached.access_mode if cached else None),
        "podSecurityContext": pod_security(catalog.defaults.run_as_user),
        **placement(catalog, workload),
    }


def _vllm(catalog: Catalog, workload: Workload, job: str) -> dict[str, Any]:
    """Variables of `vllm/`, beside those of every runtime; `job` is the text of the Job's template.

    Variables:
        arguments: of the server, in a stable order, `model.args` last
        environment: its variables, each once; tokens are references to Secrets
        download: the Job that downloads the weights (`name`, `image`, `repositories`, `environment`, `resources`,
            the model's own `tolerations` and `nodeSelector`, `seconds`, a hash `weights` of the repositories, and the
            file `marker` that it leaves), or `none`
    """
    spec = workload.spec
    made = download(catalog, workload, job)
    ours: dict[str, str | SecretReference] = dict(_VLLM_ENVIRONMENT)
    if catalog.secrets.huggingface:
        ours["HF_TOKEN"] = catalog.secrets.huggingface
    if spec.api_key:
        ours["VLLM_API_KEY"] = spec.api_key
    if made:
        ours["HF_HUB_OFFLINE"] = "1"
    # What the nodes of one copy reach each other by; without it vLLM takes an address that it guesses.
    address = [{"name": _HOST_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    return {
        "arguments": vllm_arguments(spec, CONTAINER_PORT, chat_template.path(spec.chat_template)),
        "environment": environment(ours, spec.env) + (address if workload.grouped and _HOST_IP not in spec.env else []),
        "download": made,
    }


def _llamacpp(workload: Workload) -> dict[str, Any]:
    """Variables of `llamacpp/`, beside those of every runtime; `arguments` and `environment` as for vLLM."""
    spec = workload.spec
    ours: dict[str, str | SecretReference] = {"HOME": "/tmp"}  # noqa: S108 - a volume of the pod
    if spec.api_key:
        ours["LLAMA_API_KEY"] = spec.api_key
    return {
        "arguments": llamacpp_arguments(spec, CONTAINER_PORT, chat_template.path(spec.chat_template)),
        "environment": environment(ours, spec.env),
    }


def jobs(asked: Asked, engine: Engine) -> Iterator[Job]:
    """The objects of each chosen model."""
    for workload in asked.chosen:
        spec, named = workload.spec, variables(asked.catalog, workload)
        if spec.chat_template and spec.chat_template.text is not None:
            yield Job("workload/configmap.yaml.j2", named, Stage.CONFIG, workload.name, workload.path)
        if spec.runtime is Runtime.VLLM:
            named |= _vllm(asked.catalog, workload, engine.source(_DOWNLOAD))
            if named["download"]:
                yield Job(_DOWNLOAD, named, Stage.CONFIG, workload.name, workload.path)
        elif spec.runtime is Runtime.LLAMACPP:
            named |= _llamacpp(workload)
        elif spec.runtime is Runtime.KSERVE:
            named |= kserve.variables(asked.catalog, workload)
        for template in _templates(workload):
            yield Job(template, named, Stage.MODELS, workload.name, workload.path)


def _templates(workload: Workload) -> tuple[str, ...]:
    """The templates of a model's server, in the order in which a deploy applies them."""
    if workload.spec.runtime is Runtime.KSERVE:
        own = ("kserve/service.yaml.j2",) if workload.spec.service else ()
        return (*own, "kserve/inferenceservice.yaml.j2")
    folder = workload.spec.runtime.value
    server = "leaderworkerset" if workload.grouped else "deployment"
    return (f"{folder}/service.yaml.j2", f"{folder}/{server}.yaml.j2")
