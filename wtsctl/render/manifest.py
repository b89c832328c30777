"""The catalog as Kubernetes objects, each with its stage of a deploy and its place in the kustomize tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from wtsctl.catalog.model import Catalog, Runtime
from wtsctl.catalog.workload import Workload, workloads
from wtsctl.render import context
from wtsctl.render.templates import Engine


class Stage(IntEnum):
    """The order of a deploy: what is in one stage is there before the next begins."""

    NAMESPACE = 0
    CONFIG = 1
    MODELS = 2
    LLAMA_STACK = 3


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object as it should be.

    Attributes:
        doc: the object; treat it as read-only.
        stage: when a deploy applies it.
        template: the template it was rendered from, for example `vllm/deployment.yaml.j2`.
        model: the model it belongs to, or None for what is shared or belongs to Llama Stack.
        path: its folder in the kustomize tree, relative to `kubernetes/`.
    """

    doc: dict[str, Any]
    stage: Stage
    template: str
    model: str | None
    path: str

    @property
    def api_version(self) -> str:
        """Group and version, for example `apps/v1`."""
        return str(self.doc["apiVersion"])

    @property
    def kind(self) -> str:
        """The kind, for example `Deployment`."""
        return str(self.doc["kind"])

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.doc["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """metadata.namespace; None for what belongs to the whole cluster."""
        namespace = self.doc["metadata"].get("namespace")
        return None if namespace is None else str(namespace)

    @property
    def identity(self) -> str:
        """`NAMESPACE/KIND/NAME`, or `KIND/NAME` without a namespace."""
        return "/".join(part for part in (self.namespace, self.kind, self.name) if part)


# A runtime's templates, in the order in which a deploy applies them.
_RUNTIME_TEMPLATES: dict[Runtime, tuple[str, ...]] = {
    Runtime.VLLM: ("vllm/service.yaml.j2", "vllm/deployment.yaml.j2"),
    Runtime.KSERVE: ("kserve/inferenceservice.yaml.j2",),
    Runtime.LLAMACPP: ("llamacpp/service.yaml.j2", "llamacpp/deployment.yaml.j2"),
}
_SHARED_PATH = "shared"


@dataclass(frozen=True, slots=True)
class _Job:
    """One template to render, with what it can name and what its documents become."""

    template: str
    variables: Mapping[str, Any]
    stage: Stage
    model: str | None
    path: str


def _jobs(catalog: Catalog, chosen: tuple[Workload, ...]) -> Iterator[_Job]:
    for namespace in dict.fromkeys(workload.namespace for workload in chosen):
        variables = context.shared(catalog, namespace, namespace, "namespace")
        yield _Job("shared/namespace.yaml.j2", variables, Stage.NAMESPACE, None, _SHARED_PATH)
    for workload in chosen:
        variables = context.model(catalog, workload)
        for template in _RUNTIME_TEMPLATES[workload.spec.runtime]:
            yield _Job(template, variables, Stage.MODELS, workload.name, workload.path)


def render(
    catalog: Catalog, templates: Mapping[str, str], selected: Collection[str] | None = None
) -> tuple[Manifest, ...]:
    """Every object that the catalog asks for, in the order of a deploy.

    Args:
        catalog: the checked catalog.
        templates: text by name (`vllm/deployment.yaml.j2`); a `TemplateText` also tells errors its file.
        selected: names of models; only they are rendered, with the shared objects that they need and without
            Llama Stack. None renders everything.

    Raises:
        TemplateError: a template fails, or renders something that is no Kubernetes object.
    """
    chosen = tuple(workload for workload in workloads(catalog) if selected is None or workload.name in selected)
    engine = Engine(templates, context.common(catalog))
    made = [
        Manifest(doc, job.stage, job.template, job.model, job.path)
        for job in _jobs(catalog, chosen)
        for doc in engine.documents(job.template, job.variables)
    ]
    made.sort(key=lambda manifest: manifest.stage)
    return tuple(made)
