"""The Llama Stack server in front of the models."""

from typing import Literal

from pydantic import Field

from wtsctl.catalog.entry import Entry
from wtsctl.catalog.forms import (
    AbsolutePath,
    Bytes,
    DnsLabel,
    DnsSubdomain,
    Image,
    Port,
    RelativePath,
    ServedId,
    ServedName,
    ServiceName,
    StackVersion,
    Uri,
)
from wtsctl.catalog.model import Patch
from wtsctl.catalog.pods import Environment, Expose, Resources, SecretReference


class LlamaStackService(Entry):
    """Where Llama Stack answers inside the cluster."""

    name: ServiceName = Field("llamastack-server", description="name of the Service")
    port: Port = Field(8321, description="port of the Service")


class Embeddings(Entry):
    """The embedding model that Llama Stack runs in its own process."""

    name: ServedName = Field(
        description="what it is called; its id at Llama Stack 0.2, while 0.7 answers to sentence-transformers/MODEL"
    )
    model: str = Field(min_length=1, description="Hugging Face id of a sentence-transformers model")
    dimension: int = Field(ge=1, description="length of a vector")


class VectorStore(Entry):
    """Llama Stack's vector store: Milvus Lite, a file inside the pod, or a Milvus server."""

    type: Literal["milvus"] = Field(description="milvus, the one that is supported")
    path: AbsolutePath = Field("/.llama/milvus.db", description="file of Milvus Lite, on the pod's volume")
    uri: Uri | None = Field(None, description="address of a Milvus server, which takes the place of the file")
    token: SecretReference | None = Field(None, description="with `uri`: the token for the server")


class LlamaStack(Entry):
    """The Llama Stack server in front of the models."""

    enabled: bool = Field(True, description="false: neither rendered nor deployed; references to it stay checked")
    namespace: DnsLabel = Field(description="namespace of the server")
    service: LlamaStackService = Field(default_factory=LlamaStackService, description="where it answers")
    also_in: tuple[DnsLabel, ...] = Field(
        (), strict=False, description="further namespaces in which a Service of the same name leads to it"
    )
    kind: Literal["Deployment", "LlamaStackDistribution"] = Field(
        "Deployment", description="LlamaStackDistribution leaves Deployment and Service to Llama Stack's operator"
    )
    image: Image | None = Field(None, description="unset: `defaults.images.llamaStack`")
    version: StackVersion = Field(
        "0.7.3",
        description="release of the server in the image: 0.7 reads one form of configuration, 0.2 another",
    )
    storage: Bytes = Field("20Gi", description="size of the volume for its databases and the vector store")
    storage_class: DnsSubdomain | None = Field(
        None, description="Deployment: class of the volume; unset: the cluster's default"
    )
    resources: Resources = Field(description="requests and limits of the container")
    models: tuple[ServedId, ...] = Field(strict=False, min_length=1, description="models it routes to")
    safety: ServedId | None = Field(None, description="model behind its Llama Guard shield")
    embeddings: Embeddings | None = Field(None, description="its embedding model")
    vector_store: VectorStore | None = Field(None, description="its vector store")
    env: Environment = Field(default_factory=dict, description="further variables of the server; no secrets")
    expose: Expose | None = Field(None, description="how it is reached from outside; unset: not at all")
    patches: tuple[Patch, ...] = Field(
        (), strict=False, description="changes to its rendered objects, applied in this order"
    )
    path: RelativePath = Field("llama-stack", description="folder in the kustomize tree")

    @property
    def reads_run_yaml(self) -> bool:
        """Whether the server reads the configuration of 0.2, a run.yaml; otherwise that of 0.7, a config.yaml."""
        return self.version.split(".")[1] == "2"

    @property
    def url(self) -> str:
        """Where it answers inside the cluster, without the path of an API."""
        return f"http://{self.service.name}.{self.namespace}.svc.cluster.local:{self.service.port}"

    @property
    def openai_prefix(self) -> str:
        """The path before the routes of its OpenAI-compatible API, which 0.2 has below its own."""
        return "/v1/openai/v1" if self.reads_run_yaml else "/v1"


def operator_labels(stack: LlamaStack) -> dict[str, str]:
    """What Llama Stack's operator labels the pods with.

    Source: llama-stack-k8s-operator 0.9, controllers/manifests/base/deployment.yaml and pkg/deploy/kustomizer.go.
    """
    return {"app": "llama-stack", "app.kubernetes.io/instance": stack.service.name}


def stack_id(name: str) -> str:
    """The id that Llama Stack answers to for the model `name`: PROVIDER/MODEL, and each model is its own provider.

    0.7 knows a model by nothing else (llama_stack/core/routing_tables/models.py, register_model); under 0.2 it is
    registered under this id too.
    """
    return f"{name}/{name}"
