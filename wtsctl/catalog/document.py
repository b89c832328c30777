"""models.yaml as a whole: the entry at its top, and what holds for every model."""

from typing import Literal

from pydantic import Field

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.entry import Entry
from wtsctl.catalog.extra import ExtraObject
from wtsctl.catalog.forms import VERSION, DnsLabel, Image
from wtsctl.catalog.model import Model
from wtsctl.catalog.platform import Cache, Platform, Secrets
from wtsctl.catalog.pods import Gpu
from wtsctl.catalog.stack import LlamaStack


class Images(Entry):
    """The container image of each runtime, by tag or digest."""

    vllm: Image | None = Field(None, description="image of models with `runtime: vllm`")
    llamacpp: Image | None = Field(None, description="image of models with `runtime: llamacpp`")
    llama_stack: Image | None = Field(None, description="image of the Llama Stack server")


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
    kserve_version: str = Field(
        "0.15",
        pattern=VERSION,
        description="KServe in the cluster: before 0.16 its plain mode is called RawDeployment, before 0.15.2 it makes "
        "an autoscaler for every model",
    )

    @property
    def kserve_release(self) -> tuple[int, ...]:
        """`kserveVersion` as numbers, to compare."""
        return tuple(int(part) for part in self.kserve_version.split("."))


class Catalog(Entry):
    """All of models.yaml, after a profile has been merged in."""

    api_version: Literal["wtsctl/v1"] = Field(description="version of this format")
    name: DnsLabel = Field(description="name of the installation; its objects are labelled with it")
    defaults: Defaults = Field(description="what holds for every model that does not say otherwise")
    secrets: Secrets = Field(default_factory=Secrets, description="Secrets that the workloads read")
    cache: Cache | None = Field(
        None, description="volume for the weights that vllm models download; unset: they live as long as their pod"
    )
    platform: Platform = Field(default_factory=Platform, description="what stands around the models")
    models: tuple[Model, ...] = Field(strict=False, min_length=1, description="the served models")
    llama_stack: LlamaStack | None = Field(None, description="the Llama Stack server")
    agents: tuple[Agent, ...] = Field((), strict=False, description="the agents behind it")
    extra: tuple[ExtraObject, ...] = Field(
        (),
        strict=False,
        description="further Kubernetes objects, deployed and deleted with the rest; in `defaults.namespace` where "
        "they name none, `namespace: null` for what belongs to the whole cluster",
    )
