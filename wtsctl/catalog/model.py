"""One served model: its entry in models.yaml, with the meaning, unit and default of each key.

The JSON Schema of `wtsctl schema` and the reference page are made from these classes, so a field's description
is written for the person who edits models.yaml. References between entries are checked in `references.py`.
"""

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
    MetricName,
    Port,
    RelativePath,
    SecretKey,
    ServedId,
    ServedName,
    ServiceName,
    Word,
)
from wtsctl.catalog.pods import (
    Environment,
    Expose,
    Gpu,
    Labels,
    ResourceList,
    Resources,
    SecretReference,
    Toleration,
)
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


# Of vLLM's own (vllm/config/cache.py, CacheDType) those whose size does not depend on the model's attention.
KvCacheType = Literal[
    "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "fp8_per_token_head"
]


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
    """How messages become the text that the model reads; exactly one of path, text and configMap is set."""

    path: AbsolutePath | None = Field(
        None, description="file in the image, or in the cache volume under /cache/huggingface"
    )
    text: str | None = Field(None, min_length=1, description="the template itself; a ConfigMap is made from it")
    config_map: DnsSubdomain | None = Field(None, description="ConfigMap that holds it, in the model's namespace")
    key: SecretKey = Field("chat_template.jinja", description="key in the ConfigMap")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(value is not None for value in (self.path, self.text, self.config_map)) != 1:
            raise ValueError("expected exactly one of path, text and configMap")
        if self.path is not None and "key" in self.model_fields_set:
            raise ValueError("`key` belongs to a ConfigMap, and `path` names a file")
        return self


class ToolCalling(Entry):
    """How the server finds calls of tools in an answer."""

    parser: Word = Field(description="vLLM's tool call parser: llama3_json, granite, pythonic, hermes, ...")


class LoraAdapter(Entry):
    """One LoRA adapter that is loaded beside the model."""

    name: ServedName = Field(description="the id that the endpoint answers to with the adapter")
    source: Word = Field(
        description="Hugging Face id, or an absolute path in the image or in the cache volume under /cache/huggingface"
    )


class Lora(Entry):
    """LoRA adapters of a model."""

    adapters: tuple[LoraAdapter, ...] = Field(strict=False, min_length=1, description="the adapters")
    max_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = Field(16, description="largest rank among them")


class Download(Entry):
    """A Job that puts the weights on the cache volume before a server starts."""

    image: Image | None = Field(
        None, description="an image with the command `hf` or `huggingface-cli`; unset: the model's own"
    )
    resources: Resources = Field(
        default_factory=lambda: Resources(
            requests=ResourceList(cpu="1", memory="2Gi"), limits=ResourceList(cpu="4", memory="8Gi")
        ),
        description="requests and limits of the Job's container; unset: 1 to 4 CPUs and 2Gi to 8Gi of memory",
    )
    timeout: Duration = Field("6h", description="after this time the Job has failed")


class KServe(Entry):
    """What only an InferenceService has."""

    format: ServedName = Field(
        "huggingface",
        description="name of the model format, which decides the ServingRuntime: huggingface, or vLLM where there is "
        "a runtime for it (KServe 0.20 and OpenShift AI bring one)",
    )
    serving_runtime: DnsSubdomain | None = Field(
        None, description="name of the ServingRuntime; unset: KServe picks the one for the format"
    )
    server: Literal["huggingface", "vllm"] | None = Field(
        None,
        description="what that runtime runs, which decides arguments, probes and paths: KServe's huggingface server "
        "or vLLM's own, on port 8080; unset: vllm for the format vLLM, huggingface for others",
    )
    openai_prefix: Literal["/openai/v1", "/v1"] | None = Field(
        None,
        description="where it serves the API; unset: vllm under /v1, huggingface under /openai/v1. With /v1, "
        "huggingface is told so, and its list of models has KServe's own form",
    )
    service_account: DnsSubdomain | None = Field(
        None,
        description="ServiceAccount whose Secrets the init container downloads with; unset: one for "
        "`secrets.huggingface`",
    )
    download_by: Literal["initializer", "server"] = Field(
        "initializer",
        description="who downloads from Hugging Face: KServe's init container, with the memory and the securityContext "
        "that the cluster gives it, or the server itself, with its own, as a part of its start",
    )
    storage_container: DnsSubdomain | None = Field(
        None,
        description="ClusterStorageContainer of that init container, from KServe 0.20 on; unset: KServe picks one",
    )

    @property
    def runs(self) -> Literal["huggingface", "vllm"]:
        """The server in the ServingRuntime."""
        return self.server or ("vllm" if self.format == "vLLM" else "huggingface")

    @property
    def prefix(self) -> str:
        """The path of the API, before `/chat/completions`."""
        return self.openai_prefix or ("/v1" if self.runs == "vllm" else "/openai/v1")


class Autoscale(Entry):
    """More pods while requests wait, fewer when they do not."""

    min: int = Field(
        1, ge=0, le=1000, description="fewest pods; 0, with `by: keda` and `activation`, stops the model while idle"
    )
    max: int = Field(ge=1, le=1000, description="most pods")
    by: Literal["keda", "hpa"] = Field(
        "keda",
        description="keda: a ScaledObject that asks `platform.monitoring.prometheus`; hpa: a HorizontalPodAutoscaler, "
        "which needs an adapter for custom metrics in the cluster",
    )
    waiting: int = Field(5, ge=1, le=10000, description="requests that wait, per pod, before another one is started")
    poll: Duration = Field("15s", description="keda: how often the metric is read, in whole seconds")
    cooldown: Duration = Field("6m", description="how long nothing may wait before a pod is stopped")
    activation: str | None = Field(
        None,
        min_length=1,
        description="keda, with `min: 0`: PromQL that is above 0 while somebody wants the model, from a gateway in "
        "front of it: without pods the model itself counts nothing",
    )
    metric: MetricName | None = Field(
        None,
        description="hpa: what the adapter calls the waiting requests of a pod; unset: vllm_num_requests_waiting, or "
        "llamacpp_requests_deferred",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is more than max ({self.max})")
        if self.by == "hpa" and self.min == 0:
            raise ValueError("a HorizontalPodAutoscaler cannot start from no pods; set min: 1, or by: keda")
        if self.min == 0 and self.activation is None:
            raise ValueError("min: 0 needs `activation`: at no pods nothing waits, so nothing would start one")
        if self.min > 0 and self.activation is not None:
            raise ValueError("`activation` has no effect without min: 0")
        if self.by == "hpa" and "poll" in self.model_fields_set:
            raise ValueError("`poll` has no effect with by: hpa, whose interval is that of the cluster")
        if self.by == "keda" and self.metric is not None:
            raise ValueError("`metric` has no effect with by: keda, which asks Prometheus itself")
        return self


class PatchOperation(Entry):
    """One operation of a JSON patch (RFC 6902)."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(description="what is done")
    path: JsonPointer = Field(description="where")
    from_: JsonPointer | None = Field(None, alias="from", description="move and copy: from where")
    value: Any = Field(None, description="add, replace and test: the value")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"move": "from", "copy": "from", "remove": ""}.get(self.op, "value")
        given = {name for name, key in (("value", "value"), ("from", "from_")) if key in self.model_fields_set}
        if needed and needed not in given:
            raise ValueError(f"op {self.op} needs `{needed}`")
        if unused := given - {needed}:
            raise ValueError(f"op {self.op} does not read `{unused.pop()}`")
        return self


class Patch(Entry):
    """A change to a rendered object, for what models.yaml has no key for; exactly one of `merge` and `json`."""

    kind: KindName = Field(description="kind of the object, such as Deployment")
    name: DnsSubdomain | None = Field(None, description="its name; unset: every object of this kind")
    merge: dict[str, Any] | None = Field(
        None,
        description="a strategic merge patch; for kinds that are not Kubernetes' own, such as InferenceService, a "
        "JSON merge patch (RFC 7396), which replaces lists as a whole",
    )
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
        description="further ids for the model; vLLM and llama.cpp answer to them, KServe's huggingface server only to "
        "`name`",
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
        description="how the weights are quantized: fp8, awq, gptq, ...; unset: as its config.json says",
    )
    kv_cache_dtype: KvCacheType | None = Field(None, description="type of the KV cache; fp8 takes half of the memory")
    gpu_memory_utilization: float | None = Field(
        None, gt=0, le=1, description="part of a GPU's memory that the server may use; unset: its default (vLLM: 0.92)"
    )
    max_num_seqs: int | None = Field(None, ge=1, le=65536, description="most requests that are computed at once")
    chat_template: ChatTemplate | None = Field(None, description="unset: the model's own")
    tool_calling: ToolCalling | None = Field(None, description="vllm and kserve: answers may call tools")
    reasoning_parser: Word | None = Field(None, description="vllm and kserve: how reasoning is told from the answer")
    lora: Lora | None = Field(None, description="vllm: LoRA adapters that are loaded beside the model")
    api_key: SecretReference | None = Field(
        None,
        description="key that callers have to send, for vLLM and llama.cpp, under kserve where its server is vllm; "
        "/health stays open",
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
    startup_timeout: Duration | None = Field(
        None,
        description="how long a pod may take from container start to its first healthy answer; unset: 10 minutes and "
        "20 seconds for each GiB that the model's id speaks of at 16 bits a weight (8B: 15m, 70B: 54m), 15m where it "
        "speaks of none",
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
