"""The agents behind the models."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from wtsctl.catalog.entry import Entry, without_null
from wtsctl.catalog.forms import DnsLabel, Image, Port, RelativePath, ServedId, TaskName
from wtsctl.catalog.model import Patch
from wtsctl.catalog.pods import Environment, Resources


class Agent(Entry):
    """One agent of the workshop, and the models it uses."""

    name: DnsLabel = Field(description="name of the agent's Deployment")
    namespace: DnsLabel = Field(description="namespace of that Deployment")
    via: Literal["llama-stack", "direct"] = Field(description="which way its requests go")
    model: ServedId = Field(description="its primary model")
    fallback: ServedId | None = Field(None, description="model it turns to when the primary fails or is too weak")
    safety: ServedId | None = Field(None, description="model that its inputs and answers are checked with")
    rag: bool = Field(False, description="whether it retrieves from Llama Stack's vector store")
    tasks: Annotated[dict[TaskName, ServedId], BeforeValidator(without_null)] = Field(
        default_factory=dict, description="model per kind of task"
    )
    image: Image | None = Field(
        None, description="unset: its Deployment is somebody else's, and only the environment is rendered"
    )
    container: DnsLabel | None = Field(
        None, description="container that gets the environment; unset: the agent's name, in a whole Deployment too"
    )
    replicas: int = Field(1, ge=0, le=1000, description="with `image`: pods of the agent")
    port: Port = Field(8080, description="with `image`: port that it listens on")
    resources: Resources | None = Field(None, description="with `image`; unset: 100m to 1 CPU, 256Mi to 512Mi")
    env: Environment = Field(default_factory=dict, description="further environment variables; no secrets")
    patches: tuple[Patch, ...] = Field(
        (), strict=False, description="changes to its rendered objects, applied in this order"
    )
    path: RelativePath | None = Field(None, description="folder in the kustomize tree; unset: NAMESPACE/NAME")

    @property
    def folder(self) -> str:
        """Where its objects are in the kustomize tree, relative to `kubernetes/`."""
        return self.path or f"{self.namespace}/{self.name}"
