"""The types of models.yaml: what each key means, its unit and its default.

The JSON Schema of `wtsctl schema` and the reference page are made from these classes, so a field's description
is written for the person who edits models.yaml. References between entries are checked in `references.py`.
"""

from __future__ import annotations

import re
import warnings
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from wtsctl.catalog.forms import (
    AbsolutePath,
    Bytes,
    DnsLabel,
    DnsSubdomain,
    Duration,
    Image,
    Port,
    Quantity,
    RelativePath,
    ResourceName,
    SecretKey,
    ServedId,
    ServedName,
    ServiceName,
    TaskName,
    Word,
)
from wtsctl.catalog.quantity import parse_duration, parse_quantity


def _without_null(value: Any) -> Any:
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class Entry(BaseModel):
    """What all parts of models.yaml share: unknown keys are errors, values cannot change, keys are camelCase.

    A key without a value (null) is a key that is not there, so that a profile can take one away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if isinstance(data, dict) and None in data.values():
            # An unknown key stays, null or not: it is an error either way.
            return {key: value for key, value in data.items() if value is not None or key not in keys(cls)}
        return data


@cache
def keys(entry: type[Entry]) -> dict[str, str]:
    """The keys of an entry as models.yaml spells them, each with its description."""
    return {field.alias or name: field.description or "" for name, field in entry.model_fields.items()}


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

    vllm: Image | None = Field(None, description="image of models with `runtime: vllm`")
    llamacpp: Image | None = Field(None, description="image of models with `runtime: llamacpp`")
    llama_stack: Image | None = Field(None, description="image of the Llama Stack server")


class Gpu(Entry):
    """How a GPU is asked for."""

    resource: ResourceName = Field("nvidia.com/gpu", description="the extended resource of one GPU")
    product: ServedName | None = Field(
        None, description="value of the node label `nvidia.com/gpu.product` to run on; unset: any node"
    )


class Defaults(Entry):
    """What holds for every model that does not say otherwise."""

    namespace: DnsLabel = Field(description="namespace of the models")
    images: Images = Field(default_factory=Images, description="image per runtime")
    gpu: Gpu = Field(default_factory=Gpu, description="how GPUs are asked for")
    run_as_user: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="numeric user of the containers, for images whose own user is root (2000 for "
        "vllm/vllm-openai); leave unset on OpenShift, which assigns one",
    )


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
    size: Bytes = Field(description="storage asked for, for example 500Gi")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = Field(
        "ReadWriteMany", description="ReadWriteMany lets several models download and read at once"
    )
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")


class ResourceList(Entry):
    """Amounts of cpu (cores) and memory (bytes), as Kubernetes quantities."""

    cpu: Quantity = Field(description="cores, for example 8 or 500m")
    memory: Bytes = Field(description="bytes, for example 64Gi")


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
    """Where a model's server answers inside the cluster."""

    name: ServiceName | None = Field(None, description="name of the Service; unset: the model's name as a DNS label")
    port: Port = Field(8000, description="port of the Service")


class LlamaStackService(Entry):
    """Where Llama Stack answers inside the cluster."""

    name: ServiceName = Field("llamastack-server", description="name of the Service")
    port: Port = Field(8321, description="port of the Service")


def _regex(pattern: str) -> str:
    try:
        with warnings.catch_warnings():
            # What Python will read otherwise one day, such as `[[a]`.
            warnings.simplefilter("error")
            re.compile(pattern)
    except RecursionError as error:
        raise ValueError("not a regular expression: nested too deep") from error
    except (re.error, OverflowError, FutureWarning) as error:
        raise ValueError(f"not a regular expression: {str(error)[:1].lower()}{str(error)[1:]}") from error
    return pattern


class Assertion(Entry):
    """One condition on an answer; exactly one key is set."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    contains: str | None = Field(None, min_length=1, description="the answer holds this text")
    icontains: str | None = Field(None, min_length=1, description="the same, ignoring case")
    regex: Annotated[str, AfterValidator(_regex)] | None = Field(
        None, min_length=1, description="the answer matches this Python regular expression somewhere"
    )
    finish_reason: Literal["stop", "length"] | None = Field(None, description="why the model stopped")
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

    metric: MetricName = Field(
        description="time to the first token (ttft), for each later one (tpot), or to the last (total)"
    )
    stat: StatisticName = Field(Statistic.P50, description="which value of the samples counts")
    max: Duration = Field(description="the limit, for example 50ms or 2s")

    @property
    def seconds(self) -> float:
        """The limit in seconds."""
        return parse_duration(self.max)


class Model(Entry):
    """One served model."""

    name: ServedName = Field(description="the id that the endpoint answers to (`--served-model-name`)")
    aliases: tuple[ServedId, ...] = Field(
        (),
        strict=False,
        description="further ids for the model; vLLM and llama.cpp answer to them, KServe only to `name`",
    )
    runtime: RuntimeName = Field(description="vllm and llamacpp run as a Deployment, kserve as an InferenceService")
    model: Word = Field(description="Hugging Face id, or for llamacpp the absolute path of a GGUF file in the image")
    role: RoleName = Field(
        description="chat, code, docs, or safety for a guard, which judges text and answers no questions"
    )
    namespace: DnsLabel | None = Field(None, description="unset: `defaults.namespace`")
    service: Service | None = Field(
        None, description="vllm and llamacpp: its Service; KServe names its own, and listens on port 80"
    )
    image: Image | None = Field(
        None, description="vllm and llamacpp: the container image; unset: `defaults.images` for the runtime"
    )
    replicas: int = Field(1, ge=0, le=1000, description="pods that serve the model; KServe needs at least 1")
    gpus: int | None = Field(
        None, ge=0, le=64, description="GPUs of one pod; unset: `parallel.tensor`, and 0 for llamacpp"
    )
    parallel: Parallel = Field(default_factory=Parallel, description="how one pod uses its GPUs")
    max_model_len: int = Field(ge=1, le=2**31 - 1, description="longest context in tokens, prompt and answer together")
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
    path: AbsolutePath = Field("/.llama/milvus.db", description="file of the store, on the pod's volume")


class LlamaStack(Entry):
    """The Llama Stack server in front of the models."""

    enabled: bool = Field(True, description="false: neither rendered nor deployed; references to it stay checked")
    namespace: DnsLabel = Field(description="namespace of the server")
    service: LlamaStackService = Field(default_factory=LlamaStackService, description="where it answers")
    image: Image | None = Field(None, description="unset: `defaults.images.llamaStack`")
    storage: Bytes = Field("20Gi", description="size of the volume for its databases and the vector store")
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")
    resources: Resources = Field(description="requests and limits of the container")
    models: tuple[ServedId, ...] = Field(strict=False, min_length=1, description="models it routes to")
    safety: ServedId | None = Field(None, description="model behind its Llama Guard shield")
    embeddings: Embeddings | None = Field(None, description="its embedding model")
    vector_store: VectorStore | None = Field(None, description="its vector store")
    path: RelativePath = Field("llama-stack", description="folder in the kustomize tree")


class Agent(Entry):
    """One agent of the workshop, and the models it uses."""

    name: DnsLabel = Field(description="name of the agent's Deployment")
    namespace: DnsLabel = Field(description="namespace of that Deployment")
    via: Literal["llama-stack", "direct"] = Field(description="which way its requests go")
    model: ServedId = Field(description="its primary model")
    fallback: ServedId | None = Field(None, description="model it turns to when the primary fails or is too weak")
    safety: ServedId | None = Field(None, description="model that its inputs and answers are checked with")
    rag: bool = Field(False, description="whether it retrieves from Llama Stack's vector store")
    tasks: Annotated[dict[TaskName, ServedId], BeforeValidator(_without_null)] = Field(
        default_factory=dict, description="model per kind of task"
    )


class Catalog(Entry):
    """All of models.yaml, after a profile has been merged in."""

    api_version: Literal["wtsctl/v1"] = Field(description="version of this format")
    name: DnsLabel = Field(description="name of the installation; its objects are labelled with it")
    defaults: Defaults = Field(description="what holds for every model that does not say otherwise")
    secrets: Secrets = Field(default_factory=Secrets, description="Secrets that the workloads read")
    cache: Cache | None = Field(
        None, description="volume for the weights that vllm models download; unset: they live as long as their pod"
    )
    models: tuple[Model, ...] = Field(strict=False, min_length=1, description="the served models")
    llama_stack: LlamaStack | None = Field(None, description="the Llama Stack server")
    agents: tuple[Agent, ...] = Field((), strict=False, description="the agents behind it")
