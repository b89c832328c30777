"""A model with every default filled in: what is deployed under which name, and where it answers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from wtsctl.catalog.document import Catalog, Defaults
from wtsctl.catalog.model import Model, Runtime, Service
from wtsctl.catalog.pods import Gpu, SecretReference
from wtsctl.catalog.quantity import parse_duration

KSERVE_PREDICTOR_PORT = 80
# The folder of the kustomize tree with what several models use.
SHARED_PATH = "shared"
# And the one with the objects under `extra`.
EXTRA_PATH = "extra"
# What a server needs beside its weights: kernels are compiled, CUDA graphs captured.
_BASE_STARTUP_SECONDS = 600
# Downloading at 50 MiB/s; loading from a shared network volume is quicker.
_SECONDS_PER_GIB = 20
# For a model whose id does not say how large it is.
_STARTUP_SECONDS = 900
_BYTES_PER_WEIGHT = 2
# `70B` in Llama-3.1-70B-Instruct, `8x7B` in Mixtral-8x7B; not the active part of a mixture, as in Qwen3-30B-A3B.
_PARAMETERS = re.compile(r"(?<![A-Za-z0-9.])(?:([0-9]{1,3})x)?([0-9]{1,4}(?:\.[0-9]{1,3})?)([BbMm])(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an OpenAI-compatible API answers inside the cluster.

    It is the one address that everything here uses: Llama Stack, agents, `status`, `smoke-test`, what is exposed.
    For KServe that is the model's own `service` where there is one, and KServe's otherwise: ours has a port that is
    known, while on a cluster that makes KServe's headless (`serviceClusterIPNone`) its port 80 leads nowhere.
    `prefix` is the path before `/chat/completions`: it belongs to the runtime, not to the model. `key` is where the
    API key lies that callers have to send, if they have to.
    """

    namespace: str
    service: str
    port: int
    prefix: str
    key: SecretReference | None = None

    @property
    def url(self) -> str:
        """The base URL for clients inside the cluster, ending in the prefix."""
        return f"http://{self.service}.{self.namespace}.svc.cluster.local:{self.port}{self.prefix}"


@dataclass(frozen=True, slots=True)
class Workload:
    """One model as it runs.

    Attributes:
        spec: the model's own entry, for what has no default.
        object_name: metadata.name of its Deployment or InferenceService.
        image: the container image; empty for KServe, whose ServingRuntime names it.
        gpus: GPUs of one pod.
        gpu: how each is asked for.
        startup_seconds: what a pod may take from container start to its first healthy answer.
        endpoint: where it answers.
        path: its folder in the kustomize tree, relative to `kubernetes/`.
    """

    spec: Model
    namespace: str
    object_name: str
    image: str
    gpus: int
    gpu: Gpu
    startup_seconds: float
    endpoint: Endpoint
    path: str

    @property
    def name(self) -> str:
        """The id that callers use."""
        return self.spec.name

    @property
    def pods(self) -> int:
        """The most pods that serve it at once: those of `autoscale`, where that takes the place of `replicas`."""
        return self.spec.autoscale.max if self.spec.autoscale else self.spec.replicas

    @property
    def grouped(self) -> bool:
        """Whether one copy of it is spread over several pods, each on a node of its own."""
        return self.spec.runtime is Runtime.VLLM and self.spec.parallel.pipeline > 1

    @property
    def names(self) -> tuple[str, ...]:
        """Every id that means this model, its main one first.

        vLLM and llama.cpp answer to all of them; KServe's huggingface server looks a request's model up by the
        main one alone, so there the others only select the model here.
        """
        return (self.spec.name, *self.spec.aliases)


def dns_label(name: str) -> str:
    """The nearest DNS label: `Llama-3.1-70b` gives `llama-3-1-70b`."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")
    return label if label[:1].isalpha() else f"m-{label}"[:63].rstrip("-")


def predictor_name(object_name: str) -> str:
    """What KServe calls the Deployment and the Service of an InferenceService (pkg/constants, PredictorServiceName)."""
    return f"{object_name}-predictor"


def predictor_app(object_name: str) -> str:
    """The label `app` of an InferenceService's pods, which a Service selects (pkg/constants, GetRawServiceLabel)."""
    return f"isvc.{predictor_name(object_name)}"


def startup_seconds(model: Model) -> float:
    """What a pod may take to start, by the size of its weights where the model's id tells it.

    An upper bound: a quantized model of the same id has smaller weights, and a cached one is not downloaded.
    """
    if model.startup_timeout is not None:
        return parse_duration(model.startup_timeout)
    found = _PARAMETERS.search(model.model.rpartition("/")[2])
    if found is None:
        return _STARTUP_SECONDS
    experts, number, unit = found.groups()
    weights = int(experts or 1) * float(number) * {"B": 1e9, "M": 1e6}[unit.upper()]
    seconds = _BASE_STARTUP_SECONDS + _SECONDS_PER_GIB * weights * _BYTES_PER_WEIGHT / 2**30
    return math.ceil(seconds / 60) * 60


def workload(defaults: Defaults, model: Model) -> Workload:
    """Fill in everything that `model` leaves to defaults."""
    namespace = model.namespace or defaults.namespace
    label = dns_label(model.name)
    if model.runtime is Runtime.KSERVE:
        object_name = label
        if model.service:
            where = (model.service.name or label, model.service.port)
        else:
            where = (predictor_name(label), KSERVE_PREDICTOR_PORT)
        endpoint = Endpoint(namespace, *where, model.kserve.prefix, model.api_key)
    else:
        service = model.service or Service()
        object_name = service.name or label
        endpoint = Endpoint(namespace, object_name, service.port, "/v1", model.api_key)
    images = defaults.images
    image = {Runtime.VLLM: images.vllm, Runtime.LLAMACPP: images.llamacpp, Runtime.KSERVE: None}[model.runtime]
    gpus = model.gpus
    if gpus is None:
        gpus = 0 if model.runtime is Runtime.LLAMACPP else model.parallel.tensor
    return Workload(
        spec=model,
        namespace=namespace,
        object_name=object_name,
        image=model.image or image or "",
        gpus=gpus,
        gpu=model.gpu or defaults.gpu,
        startup_seconds=startup_seconds(model),
        endpoint=endpoint,
        path=model.path or f"{namespace}/{label}",
    )


def workloads(catalog: Catalog) -> tuple[Workload, ...]:
    """All models with their defaults filled in, in file order."""
    return tuple(workload(catalog.defaults, model) for model in catalog.models)
