"""The types of models.yaml: what each key means, its unit and its default.

The JSON Schema of `wtsctl schema` and the reference page are made from these classes, so a field's description
is written for the person who edits models.yaml. References between entries are checked in `references.py`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from wtsctl.catalog.quantity import parse_duration, parse_quantity

API_VERSION = "wtsctl/v1"


def _number_as_text(value: Any) -> Any:
    """YAML reads `cpu: 8` as a number; Kubernetes takes both spellings, so do we."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _quantity(text: str) -> str:
    parse_quantity(text)
    return text


def _duration(text: str) -> str:
    parse_duration(text)
    return text


# Lengths and characters: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
DnsLabel = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
DnsSubdomain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
ServedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
SecretKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
RelativePath = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)*$")]
Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(_quantity),
    Field(json_schema_extra={"type": ["string", "number"]}),
]
Duration = Annotated[str, AfterValidator(_duration)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Entry(BaseModel):
    """What all parts of models.yaml share: unknown keys are errors, values cannot change, keys are camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)


class Runtime(StrEnum):
    """What serves a model."""

    VLLM = "vllm"
    KSERVE = "kserve"
    LLAMACPP = "llamacpp"


class Role(StrEnum):
    """What a model is for; decides which prompts make sense for it."""

    CHAT = "chat"
    CODE = "code"
    DOCS = "docs"
    SAFETY = "safety"


class Metric(StrEnum):
    """What a budget limits; the definitions stand in docs/explanation/latency.md."""

    TTFT = "ttft"
    TPOT = "tpot"
    TOTAL = "total"


class Statistic(StrEnum):
    """Which value of the samples a budget looks at (nearest rank)."""

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"


# YAML gives plain strings; strict mode would want the enum's own member.
RuntimeName = Annotated[Runtime, Field(strict=False)]
RoleName = Annotated[Role, Field(strict=False)]
MetricName = Annotated[Metric, Field(strict=False)]
StatisticName = Annotated[Statistic, Field(strict=False)]


class Images(Entry):
    """The container image of each runtime, by tag or digest."""

    vllm: str | None = Field(None, min_length=1, description="image of models with `runtime: vllm`")
    llamacpp: str | None = Field(None, min_length=1, description="image of models with `runtime: llamacpp`")
    llama_stack: str | None = Field(None, min_length=1, description="image of the Llama Stack server")


class Gpu(Entry):
    """How a GPU is asked for."""

    resource: str = Field("nvidia.com/gpu", min_length=1, description="the extended resource of one GPU")
    product: str | None = Field(
        None, min_length=1, description="value of the node label `nvidia.com/gpu.product` to run on; unset: any node"
    )


class Defaults(Entry):
    """What holds for every model that does not say otherwise."""

    namespace: DnsLabel = Field(description="namespace of the models")
    images: Images = Field(default_factory=Images, description="image per runtime")
    gpu: Gpu = Field(default_factory=Gpu, description="how GPUs are asked for")


class SecretReference(Entry):
    """Where a token lies in the cluster; never the token itself."""

    name: DnsSubdomain = Field(description="name of the Secret, in the namespace of the pod that reads it")
    key: SecretKey = Field(description="key inside the Secret")


class Secrets(Entry):
    """Secrets that the workloads read; wtsctl refers to them and never holds their values."""

    huggingface: SecretReference | None = Field(None, description="token for downloading gated models")


class Cache(Entry):
    """The volume that keeps downloaded weights between pod starts."""

    claim: DnsSubdomain = Field(description="name of the PersistentVolumeClaim")
    size: Quantity = Field(description="storage asked for, for example 500Gi")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = Field(
        "ReadWriteMany", description="ReadWriteMany lets several models download and read at once"
    )
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")


class ResourceList(Entry):
    """Amounts of cpu (cores) and memory (bytes), as Kubernetes quantities."""

    cpu: Quantity = Field(description="cores, for example 8 or 500m")
    memory: Quantity = Field(description="bytes, for example 64Gi")


class Resources(Entry):
    """Requests and limits of a model's container; GPUs are counted by `gpus`."""

    requests: ResourceList = Field(description="what the scheduler reserves")
    limits: ResourceList = Field(description="what the container may use at most")

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        for name in ("cpu", "memory"):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if parse_quantity(request) > parse_quantity(limit):
                raise ValueError(f"requests.{name} ({request}) is more than limits.{name} ({limit})")
        return self


class Parallel(Entry):
    """How one copy of a model is spread over GPUs."""

    tensor: int = Field(1, ge=1, le=64, description="tensor parallel size: GPUs of one node that share each layer")


class Service(Entry):
    """Where a server answers inside the cluster."""

    name: DnsLabel = Field(description="name of the Service")
    port: Port = Field(8000, description="port of the Service")


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


class Assertion(Entry):
    """One condition on an answer; exactly one key is set."""

    contains: str | None = Field(None, min_length=1, description="the answer holds this text")
    icontains: str | None = Field(None, min_length=1, description="the same, ignoring case")
    regex: Annotated[str, AfterValidator(_regex)] | None = Field(
        None, min_length=1, description="the answer matches this Python regular expression somewhere"
    )
    finish_reason: Literal["stop", "length", "tool_calls"] | None = Field(None, description="why the model stopped")
    min_tokens: int | None = Field(None, ge=1, description="the server counted at least this many tokens")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            names = ", ".join(to_camel(name) for name in type(self).model_fields)
            raise ValueError(f"expected exactly one of {names}")
        return self


class Prompt(Entry):
    """One smoke prompt: what is asked, and what must hold for the answer."""

    name: DnsLabel = Field(description="short name, unique within the model")
    prompt: str = Field(min_length=1, description="the user message")
    system: str | None = Field(None, min_length=1, description="a system message before it")
    max_tokens: int = Field(64, ge=1, le=131072, description="the answer is cut after this many tokens")
    assertions: tuple[Assertion, ...] = Field(min_length=1, alias="assert", strict=False, description="all must hold")


class Budget(Entry):
    """A limit on one statistic of one metric, for every prompt of the model."""

    metric: MetricName = Field(description="ttft, tpot or total, in time")
    stat: StatisticName = Field(Statistic.P50, description="p50, p90, p95, p99 or max")
    max: Duration = Field(description="the limit, for example 50ms or 2s")

    @property
    def seconds(self) -> float:
        """The limit in seconds."""
        return parse_duration(self.max)


class Model(Entry):
    """One served model."""

    name: ServedName = Field(description="the id that the endpoint answers to (`--served-model-name`)")
    aliases: tuple[ServedName, ...] = Field((), strict=False, description="further ids the endpoint answers to")
    runtime: RuntimeName = Field(description="vllm, kserve or llamacpp")
    model: str = Field(
        min_length=1, description="Hugging Face id, or for llamacpp the path of a GGUF file in the image"
    )
    role: RoleName = Field(description="chat, code, docs or safety")
    namespace: DnsLabel | None = Field(None, description="unset: `defaults.namespace`")
    service: Service | None = Field(None, description="unset: the model's name as a DNS label, port 8000")
    image: str | None = Field(None, min_length=1, description="unset: `defaults.images` for the runtime")
    replicas: int = Field(1, ge=0, le=1000, description="pods that serve the model")
    gpus: int | None = Field(
        None, ge=0, le=64, description="GPUs of one pod; unset: `parallel.tensor`, and 0 for llamacpp"
    )
    parallel: Parallel = Field(default_factory=Parallel, description="how one pod uses its GPUs")
    max_model_len: int = Field(ge=1, description="longest context in tokens, prompt and answer together")
    args: tuple[str, ...] = Field((), strict=False, description="further arguments for the server, after our own")
    threads: int | None = Field(
        None, ge=1, le=1024, description="llamacpp: CPU threads for generation; unset: its own choice"
    )
    resources: Resources = Field(description="requests and limits of the container")
    startup_timeout: Duration = Field(
        "15m", description="how long a pod may take from container start to its first healthy answer"
    )
    path: RelativePath | None = Field(None, description="folder in the kustomize tree; unset: NAMESPACE/NAME")
    smoke: tuple[Prompt, ...] = Field((), strict=False, description="prompts of `wtsctl smoke-test`")
    budgets: tuple[Budget, ...] = Field((), strict=False, description="latency limits of `wtsctl smoke-test`")


class Embeddings(Entry):
    """The embedding model that Llama Stack runs in its own process."""

    name: ServedName = Field(description="id under which Llama Stack registers it")
    model: str = Field(min_length=1, description="Hugging Face id of a sentence-transformers model")
    dimension: int = Field(ge=1, description="length of a vector")


class VectorStore(Entry):
    """Llama Stack's vector store."""

    type: Literal["milvus"] = Field(description="milvus: Milvus Lite, a file inside the Llama Stack pod")
    path: str = Field("/.llama/milvus.db", pattern=r"^/", description="file of the store, on the pod's volume")


class LlamaStack(Entry):
    """The Llama Stack server in front of the models."""

    enabled: bool = Field(True, description="false: neither rendered nor deployed; references to it stay checked")
    namespace: DnsLabel = Field(description="namespace of the server")
    service: Service = Field(
        default_factory=lambda: Service(name="llamastack-server", port=8321), description="where it answers"
    )
    image: str | None = Field(None, min_length=1, description="unset: `defaults.images.llamaStack`")
    storage: Quantity = Field("20Gi", description="size of the volume for its databases and the vector store")
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")
    resources: Resources = Field(description="requests and limits of the container")
    models: tuple[ServedName, ...] = Field(strict=False, min_length=1, description="models it routes to")
    safety: ServedName | None = Field(None, description="model behind its Llama Guard shield")
    embeddings: Embeddings | None = Field(None, description="its embedding model")
    vector_store: VectorStore | None = Field(None, description="its vector store")
    path: RelativePath = Field("llama-stack", description="folder in the kustomize tree")


class Agent(Entry):
    """One agent of the workshop, and the models it uses."""

    name: DnsLabel = Field(description="name of the agent's Deployment")
    namespace: DnsLabel = Field(description="namespace of that Deployment")
    via: Literal["llama-stack", "direct"] = Field(description="which way its requests go")
    model: ServedName = Field(description="its primary model")
    fallback: ServedName | None = Field(None, description="model it turns to when the primary fails or is too weak")
    safety: ServedName | None = Field(None, description="model that its inputs and answers are checked with")
    rag: bool = Field(False, description="whether it retrieves from Llama Stack's vector store")
    tasks: dict[str, ServedName] = Field(default_factory=dict, description="model per kind of task")


class Catalog(Entry):
    """All of models.yaml, after a profile has been merged in."""

    api_version: Literal["wtsctl/v1"] = Field(description="version of this format")
    name: DnsLabel = Field(description="name of the installation; its objects are labelled with it")
    defaults: Defaults = Field(description="what holds for every model that does not say otherwise")
    secrets: Secrets = Field(default_factory=Secrets, description="Secrets that the workloads read")
    cache: Cache | None = Field(
        None, description="volume for downloaded weights; unset: weights live as long as their pod"
    )
    models: tuple[Model, ...] = Field(strict=False, min_length=1, description="the served models")
    llama_stack: LlamaStack | None = Field(None, description="the Llama Stack server")
    agents: tuple[Agent, ...] = Field((), strict=False, description="the agents behind it")

    def model_named(self, name: str) -> Model | None:
        """The model that answers to `name`, be it its name or an alias."""
        return next((model for model in self.models if name == model.name or name in model.aliases), None)
