"""A model with every default filled in: what is deployed under which name, and where it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wtsctl.catalog.document import Catalog, Defaults
from wtsctl.catalog.model import Model, Runtime, Service
from wtsctl.catalog.quantity import parse_duration

KSERVE_PREDICTOR_PORT = 80
# The folder of the kustomize tree with what several models use.
SHARED_PATH = "shared"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an OpenAI-compatible API answers inside the cluster.

    `prefix` is the path before `/chat/completions`: it belongs to the runtime, not to the model.
    """

    namespace: str
    service: str
    port: int
    prefix: str

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
        startup_seconds: what a pod may take from container start to its first healthy answer.
        endpoint: where it answers.
        path: its folder in the kustomize tree, relative to `kubernetes/`.
    """

    spec: Model
    namespace: str
    object_name: str
    image: str
    gpus: int
    startup_seconds: float
    endpoint: Endpoint
    path: str

    @property
    def name(self) -> str:
        """The id that callers use."""
        return self.spec.name

    @property
    def names(self) -> tuple[str, ...]:
        """Every id that means this model, its main one first.

        vLLM and llama.cpp answer to all of them; KServe's huggingface runtime looks a request's model up by the
        main one alone, so there the others only select the model here.
        """
        return (self.spec.name, *self.spec.aliases)


def dns_label(name: str) -> str:
    """The nearest DNS label: `Llama-3.1-70b` gives `llama-3-1-70b`."""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-")
    return label if label[:1].isalpha() else f"m-{label}"[:63].rstrip("-")


def workload(defaults: Defaults, model: Model) -> Workload:
    """Fill in everything that `model` leaves to defaults."""
    namespace = model.namespace or defaults.namespace
    label = dns_label(model.name)
    if model.runtime is Runtime.KSERVE:
        # KServe itself names the Service of a RawDeployment predictor, and its huggingface runtime adds /openai.
        object_name = label
        endpoint = Endpoint(namespace, f"{label}-predictor", KSERVE_PREDICTOR_PORT, "/openai/v1")
    else:
        service = model.service or Service()
        object_name = service.name or label
        endpoint = Endpoint(namespace, object_name, service.port, "/v1")
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
        startup_seconds=parse_duration(model.startup_timeout),
        endpoint=endpoint,
        path=model.path or f"{namespace}/{label}",
    )


def workloads(catalog: Catalog) -> tuple[Workload, ...]:
    """All models with their defaults filled in, in file order."""
    return tuple(workload(catalog.defaults, model) for model in catalog.models)
