"""What a rendering is asked for, and the jobs it falls into: one template, its variables, its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.fault import format_path
from wtsctl.catalog.pods import SecretSource
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import Workload
from wtsctl.render import kinds

Where = Callable[..., str]
"""`FILE:LINE:COLUMN` of a path of models.yaml, as `LoadedCatalog.where` gives it."""
Knows = Callable[[str, str], bool]
"""Whether the cluster serves a kind, by its API version and name."""


def somewhere(*path: str | int) -> str:
    """A path of models.yaml where nobody knows its line."""
    return format_path(path)


class Stage(IntEnum):
    """The order of a deploy: what is in one stage is there before the next begins."""

    NAMESPACE = 0
    CONFIG = 1
    MODELS = 2
    LLAMA_STACK = 3
    AGENTS = 4

    @property
    def word(self) -> str:
        """Its name on the command line and in JSON, such as `llama-stack`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Job:
    """One template to render, with what it can name and what its documents become.

    Attributes:
        template: its name, such as `vllm/deployment.yaml.j2`.
        variables: what it can name, beside what every template can.
        stage: when a deploy applies what it renders.
        model: the model that it belongs to, if any.
        path: its folder in the kustomize tree.
        partial: it renders a part of an object that somebody else owns.
        data: what is put into the object's `data` after the template is rendered; values of Secrets, which no
            template and no error of one may show.
    """

    template: str
    variables: Mapping[str, Any]
    stage: Stage
    model: str | None
    path: str
    partial: bool = False
    data: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one rendering is asked for.

    Attributes:
        catalog: the checked catalog.
        everything: all its workloads.
        chosen: those to render.
        stack: Llama Stack, where it is to be rendered.
        agents: the agents to render.
        knows: which kinds the cluster serves, beside those that every cluster does.
        secrets: the values of Secrets to render, by where they come from; Secrets without theirs are left out.
        whole: everything is rendered, not a selection of models.
        where: the place of a path of models.yaml, for errors about what stands there.
        left_out: the kinds that `auto` did not make, because the cluster does not serve them.
    """

    catalog: Catalog
    everything: tuple[Workload, ...]
    chosen: tuple[Workload, ...]
    stack: LlamaStack | None
    agents: tuple[Agent, ...]
    knows: Knows
    secrets: Mapping[SecretSource, str] = field(default_factory=dict, repr=False)
    whole: bool = True
    where: Where = somewhere
    left_out: set[str] = field(default_factory=set)

    def wants(self, mode: Mode, api_version: str, kind: str) -> bool:
        """Whether something optional is made: `auto` makes it where the cluster serves its kind."""
        if mode is not Mode.AUTO:
            return mode is Mode.ON
        known = kinds.everywhere(api_version) or self.knows(api_version, kind)
        if not known:
            self.left_out.add(kind)
        return known

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of everything that is rendered, each once."""
        named = [load.namespace for load in self.chosen]
        if self.stack:
            named += [self.stack.namespace, *self.stack.also_in]
        return tuple(dict.fromkeys([*named, *(agent.namespace for agent in self.agents if agent.image)]))
