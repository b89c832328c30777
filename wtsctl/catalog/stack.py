"""The Llama Stack server in front of the models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wtsctl.catalog.entry import Entry
from wtsctl.catalog.forms import (
    VERSION,
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

    name: ServedName = Field(description="id under which Llama Stack registers it")
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
    kind: Literal["Deployment", "LlamaStackDistribution"] = Field(
        "Deployment", description="LlamaStackDistribution leaves Deployment and Service to Llama Stack's operator"
    )
    image: Image | None = Field(None, description="unset: `defaults.images.llamaStack`")
    version: str = Field(
        "0.7.3",
        pattern=VERSION,
        description="version of the server in the image: 0.7 reads one form of configuration, 0.2 and earlier another",
    )
    storage: Bytes = Field("20Gi", description="size of the volume for its databases and the vector store")
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")
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
