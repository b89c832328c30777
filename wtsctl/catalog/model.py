"""One served model: its entry in models.yaml, with the meaning, unit and default of each key.

The JSON Schema of `wtsctl schema` and the reference page are made from these classes, so a field's description
is written for the person who edits models.yaml. References between entries are checked in `references.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from wtsctl.catalog.entry import Entry
from wtsctl.catalog.forms import (
    AbsolutePath,
    DnsLabel,
    DnsSubdomain,
    Duration,
    Image,
    JsonPointer,
    KindName,
    Port,
    RelativePath,
    SecretKey,
    ServedId,
    ServedName,
    ServiceName,
    Word,
)
from wtsctl.catalog.pods import Environment, Expose, Gpu, Labels, Resources, SecretReference, Toleration
from wtsctl.catalog.smoke import Budget, Prompt


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


# YAML gives plain strings; strict mode would want the enum's own member.
RuntimeName = Annotated[Runtime, Field(strict=False)]
RoleName = Annotated[Role, Field(strict=False)]


class Parallel(Entry):
    """How one copy of a model is spread over GPUs."""

    tensor: int = Field(1, ge=1, le=64, description="tensor parallel size: GPUs of one node that share each layer")
    pipeline: int = Field(
        1,
        ge=1,
        le=64,
        description="vllm: pipeline parallel size: nodes that each hold a part of the layers; above 1 a "
        "LeaderWorkerSet takes the Deployment's place",
    )


class Service(Entry):
    """Where a model's server answers inside the cluster."""

    name: ServiceName | None = Field(None, description="name of the Service; unset: the model's name as a DNS label")
    port: Port = Field(8000, description="port of the Service")


class ChatTemplate(Entry):
    """How messages become the text that the model reads; exactly one key is set, and `key` beside `configMap`."""

    path: AbsolutePath | None = Field(None, description="file in the image or on a volume")
    text: str | None = Field(None, min_length=1, description="the template itself; a ConfigMap is made from it")
    config_map: DnsSubdomain | None = Field(None, description="ConfigMap that holds it, in the model's namespace")
    key: SecretKey = Field("chat_template.jinja", description="key inside that ConfigMap")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.path, self.text, self.config_map)) != 1:
            raise ValueError("expected exactly one of path, text and configMap")
        return self


class ToolCalling(Entry):
    """How the server finds calls of tools in an answer."""

    parser: Word = Field(description="vLLM's tool call parser: llama3_json, granite, pythonic, hermes, ...")


class LoraAdapter(Entry):
    """One LoRA adapter that is loaded beside the model."""

    name: ServedName = Field(description="the id that the endpoint answers to with the adapter")
    source: Word = Field(description="Hugging Face id, or an absolute path on a volume")


class Lora(Entry):
    """LoRA adapters of a model."""

    adapters: tuple[LoraAdapter, ...] = Field(strict=False, min_length=1, description="the adapters")
    max_rank: Literal[8, 16, 32, 64, 128, 256, 320, 512] = Field(16, description="largest rank among them")


class Download(Entry):
    """A Job that puts the weights on the cache volume before a server starts."""

    image: Image | None = Field(
        None, description="an image with the command `hf` or `huggingface-cli`; unset: the model's own"
    )
    resources: Resources | None = Field(None, description="unset: 1 to 4 CPUs and 2Gi to 8Gi of memory")
    timeout: Duration = Field("6h", description="after this time the Job has failed")


class KServe(Entry):
    """What only an InferenceService has."""

    serving_runtime: DnsSubdomain | None = Field(
        None, description="name of the ServingRuntime; unset: KServe picks the one for the format"
    )
    format: DnsLabel = Field("huggingface", description="name of the model format")
    openai_prefix: Literal["/openai/v1", "/v1"] = Field(
        "/openai/v1", description="where the runtime serves the API: KServe's huggingface runtime under /openai/v1"
    )


class Autoscale(Entry):
    """More pods while requests wait, fewer when they do not."""

    min: int = Field(1, ge=0, le=1000, description="fewest pods; 0 stops the model while nobody asks, with keda only")
    max: int = Field(ge=1, le=1000, description="most pods")
    by: Literal["keda", "hpa"] = Field(
        "keda",
        description="keda: a ScaledObject that asks `platform.monitoring.prometheus`; hpa: a HorizontalPodAutoscaler, "
        "which needs an adapter for custom metrics in the cluster",
    )
    waiting: int = Field(5, ge=1, le=10000, description="requests that wait, per pod, before another one is started")
    poll: Duration = Field("15s", description="keda: how often the metric is read")
    cooldown: Duration = Field("6m", description="how long nothing may wait before a pod is stopped")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is more than max ({self.max})")
        if self.by == "hpa" and self.min == 0:
            raise ValueError("a HorizontalPodAutoscaler cannot start from no pods; set min: 1, or by: keda")
        return self


class PatchOperation(Entry):
    """One operation of a JSON patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(description="what is done")
    path: JsonPointer = Field(description="where")
    from_: JsonPointer | None = Field(None, alias="from", description="move and copy: from where")
    value: Any = Field(None, description="add, replace and test: the value")


class Patch(Entry):
    """A change to a rendered object, for what models.yaml has no key for; exactly one of `merge` and `json`."""

    kind: KindName = Field(description="kind of the object, such as Deployment")
    name: DnsSubdomain | None = Field(None, description="its name; unset: every object of this kind")
    merge: dict[str, Any] | None = Field(None, description="a strategic merge patch")
    json_: tuple[PatchOperation, ...] | None = Field(
        None, alias="json", strict=False, min_length=1, description="a JSON patch"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.merge is None) == (self.json_ is None):
            raise ValueError("expected exactly one of merge and json")
        return self


class Model(Entry):
    """One served model."""

    name: ServedName = Field(description="the id that the endpoint answers to (`--served-model-name`)")
    aliases: tuple[ServedId, ...] = Field(
        (),
        strict=False,
        description="further ids for the model; vLLM and llama.cpp answer to them, KServe only to `name`",
    )
    runtime: RuntimeName = Field(description="vllm and llamacpp run as a Deployment, kserve as an InferenceService")
    model: Word = Field(
        description="Hugging Face id; for vllm also an absolute path; for kserve also hf://, pvc://, s3:// and such; "
        "for llamacpp the absolute path of a GGUF file in the image"
    )
    config: str | None = Field(
        None, min_length=1, description="the model's config.json, relative to models.yaml, for `plan` and `validate`"
    )
    role: RoleName = Field(
        description="chat, code, docs, or safety for a guard, which judges text and answers no questions"
    )
    namespace: DnsLabel | None = Field(None, description="unset: `defaults.namespace`")
    service: Service | None = Field(
        None,
        description="its Service; for kserve a further one beside KServe's own, which is NAME-predictor on port 80",
    )
    image: Image | None = Field(
        None, description="vllm and llamacpp: the container image; unset: `defaults.images` for the runtime"
    )
    replicas: int = Field(1, ge=0, le=1000, description="pods that serve the model; KServe needs at least 1")
    gpus: int | None = Field(
        None, ge=0, le=64, description="GPUs of one pod; unset: `parallel.tensor`, and 0 for llamacpp"
    )
    gpu: Gpu | None = Field(None, description="how its GPUs are asked for; unset: `defaults.gpu`")
    parallel: Parallel = Field(default_factory=Parallel, description="how one copy uses its GPUs")
    max_model_len: int = Field(ge=1, le=2**31 - 1, description="longest context in tokens, prompt and answer together")
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] | None = Field(
        None, description="type of the weights in memory; unset: the server's choice, from the model"
    )
    quantization: Word | None = Field(
        None,
        description="how the weights are quantized: fp8, awq, gptq, ...; unset: as the model is",
    )
    kv_cache_dtype: Literal["auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"] | None = Field(
        None, description="type of the KV cache; fp8 takes half of the memory"
    )
    gpu_memory_utilization: float | None = Field(
        None, gt=0, le=1, description="part of a GPU's memory that the server may use; unset: its default (vLLM: 0.92)"
    )
    max_num_seqs: int | None = Field(None, ge=1, le=65536, description="most requests that are computed at once")
    chat_template: ChatTemplate | None = Field(None, description="unset: the model's own")
    tool_calling: ToolCalling | None = Field(None, description="vllm and kserve: answers may call tools")
    reasoning_parser: Word | None = Field(None, description="vllm and kserve: how reasoning is told from the answer")
    lora: Lora | None = Field(None, description="vllm: LoRA adapters that are loaded beside the model")
    api_key: SecretReference | None = Field(
        None, description="vllm: key that callers have to send; /v1 is closed without it, /health stays open"
    )
    args: tuple[str, ...] = Field((), strict=False, description="further arguments for the server, after our own")
    env: Environment = Field(default_factory=dict, description="further variables of the server; no secrets")
    kserve: KServe = Field(default_factory=KServe, description="what only an InferenceService has")
    download: Download | None = Field(
        None, description="vllm, with `cache`: a Job that downloads the weights; the server itself then stays offline"
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="llamacpp: CPU threads for generation; unset: its own choice"
    )
    resources: Resources = Field(description="requests and limits of the container")
    startup_timeout: Duration = Field(
        "15m", description="how long a pod may take from container start to its first healthy answer"
    )
    node_selector: Labels = Field(default_factory=dict, description="labels of the nodes it may run on")
    tolerations: tuple[Toleration, ...] = Field(
        (), strict=False, description="further taints that its pods may be scheduled in spite of"
    )
    priority_class_name: DnsSubdomain | None = Field(None, description="unset: that of `platform.priorityClass`")
    autoscale: Autoscale | None = Field(None, description="takes the place of `replicas`")
    expose: Expose | None = Field(None, description="how it is reached from outside; unset: not at all")
    patches: tuple[Patch, ...] = Field(
        (), strict=False, description="changes to its rendered objects, applied in this order"
    )
    path: RelativePath | None = Field(None, description="folder in the kustomize tree; unset: NAMESPACE/NAME")
    smoke: tuple[Prompt, ...] = Field((), strict=False, description="prompts of `wtsctl smoke-test`")
    budgets: tuple[Budget, ...] = Field((), strict=False, description="latency limits of `wtsctl smoke-test`")
