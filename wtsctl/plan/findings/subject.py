"""What rules look at: the catalog, and what is in the objects rendered from it.

Templates, patches and `extra` are the user's, so whatever a pod or a Service must have is looked for in the rendered
objects, and told at the entry of the catalog that they were made for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.direct import directly_asked
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.fault import Path
from wtsctl.catalog.load import LoadedCatalog
from wtsctl.catalog.workload import Workload
from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.pods import SERVERS, Pod, container, templates
from wtsctl.plan.fit import Serving
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.plan.serving import Unknown, served
from wtsctl.pods.made import identity

_ENFORCE = "pod-security.kubernetes.io/enforce"


class Rendered(Protocol):
    """A rendered object, as far as rules look at it; `render.manifest.Manifest` is one."""

    @property
    def doc(self) -> dict[str, Any]:
        """The object."""

    @property
    def template(self) -> str:
        """The template that it was made from."""

    @property
    def model(self) -> str | None:
        """The model that it belongs to."""

    @property
    def partial(self) -> bool:
        """Whether it is a part of somebody else's object."""


@dataclass(frozen=True)
class Subject:
    """Everything that rules look at, each list made once.

    Attributes:
        loaded: the catalog.
        text: models.yaml as it was read.
        objects: every rendered object.
        checkpoints: what the `config` of a model says, by the model's name.
    """

    loaded: LoadedCatalog
    text: str
    objects: tuple[Rendered, ...]
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        """What models.yaml says."""
        return self.loaded.catalog

    @cached_property
    def models(self) -> tuple[tuple[Path, Workload], ...]:
        """Each model with its path."""
        return tuple((("models", at), workload) for at, workload in enumerate(self.loaded.workloads))

    @cached_property
    def model_paths(self) -> Mapping[str, Path]:
        """The path of each model, by its name and its aliases."""
        return {name: path for path, workload in self.models for name in workload.names}

    @cached_property
    def served(self) -> Mapping[str, Workload]:
        """Each model, by its name and its aliases."""
        return {name: workload for _, workload in self.models for name in workload.names}

    @cached_property
    def _servings(self) -> Mapping[str, Serving | Unknown]:
        loads = self.loaded.workloads
        return {load.name: served(load, self.checkpoints.get(load.name)).serving for load in loads}

    def serving(self, workload: Workload) -> Serving | Unknown:
        """How a model uses the memory of its GPUs, or why that is not known."""
        return self._servings[workload.name]

    @cached_property
    def kinds(self) -> Mapping[str, tuple[Rendered, ...]]:
        """The rendered objects by kind."""
        found: defaultdict[str, list[Rendered]] = defaultdict(list)
        for made in self.objects:
            found[str(made.doc.get("kind"))].append(made)
        return {kind: tuple(made) for kind, made in found.items()}

    @cached_property
    def main_names(self) -> Mapping[str, str]:
        """The main name of each model, by its name and its aliases."""
        return {name: load.name for name, load in self.served.items()}

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of the models and of Llama Stack."""
        stack = self.catalog.llama_stack
        return frozenset((*(load.namespace for load in self.loaded.workloads), *([stack.namespace] if stack else ())))

    @cached_property
    def direct_callers(self) -> Mapping[str, Sequence[Agent]]:
        """The agents that ask a model at its own server, by the model's name."""
        found: defaultdict[str, list[Agent]] = defaultdict(list)
        for agent in self.catalog.agents:
            for name in directly_asked(agent, self.catalog.llama_stack, self.main_names):
                found[name].append(agent)
        return found

    @cached_property
    def agent_labels(self) -> Mapping[str, Mapping[str, Any]]:
        """Labels of the pods of each agent that is rendered whole, by its name."""
        agents = self.catalog.agents
        return {agents[int(pod.path[1])].name: pod.labels for pod in self.pods if pod.path[:1] == ("agents",)}

    @cached_property
    def stack_labels(self) -> Mapping[str, Any] | None:
        """Labels of Llama Stack's pods; None where its operator makes them."""
        return next((pod.labels for pod in self.pods if pod.path == ("llamaStack",)), None)

    @cached_property
    def enforced(self) -> Mapping[str, Any]:
        """The Pod Security Standard that each rendered namespace enforces."""
        return {
            str(mapping(made.doc, "metadata").get("name")): mapping(made.doc, "metadata", "labels").get(_ENFORCE)
            for made in self.kinds.get("Namespace", ())
        }

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that whole objects make; a part of somebody else's Deployment is none."""
        return tuple(pod for made in self.objects if not made.partial for pod in self._pods(made))

    @cached_property
    def servers(self) -> tuple[Pod, ...]:
        """The pods that serve models."""
        return tuple(pod for pod in self.pods if pod.serves)

    def owner(self, made: Rendered) -> Path:
        """The entry of the catalog that an object was made for."""
        if made.model is not None and made.model in self.model_paths:
            return self.model_paths[made.model]
        metadata = mapping(made.doc, "metadata")
        agent = self._agents.get((str(metadata.get("namespace")), str(metadata.get("name"))))
        if agent is not None:
            return agent
        folder, stack = made.template.partition("/")[0], self.catalog.llama_stack
        named = (metadata.get("namespace"), metadata.get("name"))
        if stack is not None and (folder == "llama-stack" or named == (stack.namespace, stack.service.name)):
            return ("llamaStack",)
        if made.doc.get("kind") == "PersistentVolumeClaim" and self.catalog.cache is not None:
            return ("cache",)
        return self._extra.get((str(made.doc.get("kind")), str(metadata.get("name"))), ())

    @cached_property
    def _agents(self) -> Mapping[tuple[Any, Any], Path]:
        return {(agent.namespace, agent.name): ("agents", at) for at, agent in enumerate(self.catalog.agents)}

    @cached_property
    def _extra(self) -> Mapping[tuple[str, str], Path]:
        named = ((str(doc.get("kind")), str(mapping(doc, "metadata").get("name"))) for doc in self.catalog.extra)
        return {key: ("extra", at) for at, key in enumerate(named)}

    def _pods(self, made: Rendered) -> Iterator[Pod]:
        served = self.served.get(made.model) if made.model is not None else None
        for template in templates(made.doc):
            # Their order says nothing; the server is the one called so.
            ordered = sorted(template.containers, key=lambda one: one.get("name") not in SERVERS)
            yield Pod(
                path=self.owner(made),
                workload=served,
                kind=str(made.doc.get("kind")),
                about=identity(made.doc),
                namespace=str(mapping(made.doc, "metadata").get("namespace", "")),
                labels=template.labels,
                spec=template.spec,
                containers=tuple(container(one) for one in ordered),
                initial=tuple(container(one) for one in items(template.spec, "initContainers")),
                replicas=template.replicas,
                strategy=template.strategy,
                doc=made.doc,
                worker=template.worker,
            )
