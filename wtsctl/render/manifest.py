"""The catalog as Kubernetes objects, each with its stage of a deploy and its place in the kustomize tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import SHARED_PATH, Workload, workloads
from wtsctl.errors import TemplateError
from wtsctl.render import context
from wtsctl.render.templates import Engine, origin
from wtsctl.render.yamltext import dump


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
_LLAMA_STACK_CONFIG = "llama-stack/config.yaml.j2"
_LLAMA_STACK_TEMPLATES: dict[str, Stage] = {
    "llama-stack/configmap.yaml.j2": Stage.CONFIG,
    "llama-stack/persistentvolumeclaim.yaml.j2": Stage.CONFIG,
    "llama-stack/service.yaml.j2": Stage.LLAMA_STACK,
    "llama-stack/deployment.yaml.j2": Stage.LLAMA_STACK,
}


@dataclass(frozen=True, slots=True)
class _Job:
    """One template to render, with what it can name and what its documents become."""

    template: str
    variables: Mapping[str, Any]
    stage: Stage
    model: str | None
    path: str


def _shared_jobs(catalog: Catalog, chosen: tuple[Workload, ...], stack: LlamaStack | None) -> Iterator[_Job]:
    """What the chosen workloads need in their namespaces, each object once."""
    namespaces = [workload.namespace for workload in chosen] + ([stack.namespace] if stack else [])
    downloads = [workload.namespace for workload in chosen if workload.spec.runtime is Runtime.VLLM]
    initialized = [workload.namespace for workload in chosen if workload.spec.runtime is Runtime.KSERVE]
    for namespace in dict.fromkeys(namespaces):
        variables = context.shared(catalog, namespace, "namespace")
        yield _Job("shared/namespace.yaml.j2", variables, Stage.NAMESPACE, None, SHARED_PATH)
    if catalog.cache:
        for namespace in dict.fromkeys(downloads):
            variables = context.shared(catalog, namespace, "cache")
            yield _Job("shared/persistentvolumeclaim.yaml.j2", variables, Stage.CONFIG, None, SHARED_PATH)
    if catalog.secrets.huggingface:
        for namespace in dict.fromkeys(initialized):
            variables = context.shared(catalog, namespace, "token")
            yield _Job("shared/serviceaccount.yaml.j2", variables, Stage.CONFIG, None, SHARED_PATH)


def _model_jobs(catalog: Catalog, chosen: tuple[Workload, ...]) -> Iterator[_Job]:
    for workload in chosen:
        variables = context.model(catalog, workload)
        for template in _RUNTIME_TEMPLATES[workload.spec.runtime]:
            yield _Job(template, variables, Stage.MODELS, workload.name, workload.path)


def _llama_stack_jobs(
    catalog: Catalog, all_workloads: tuple[Workload, ...], stack: LlamaStack, engine: Engine
) -> Iterator[_Job]:
    served = {name: workload for workload in all_workloads for name in (workload.name, *workload.spec.aliases)}
    variables = context.llama_stack(catalog, stack, served)
    # Read back and written again, so that what the server gets is valid YAML whatever the template looks like.
    config = engine.values(_LLAMA_STACK_CONFIG, variables)
    variables |= {"config": dump(config), "configHash": context.config_hash(config)}
    for template, stage in _LLAMA_STACK_TEMPLATES.items():
        yield _Job(template, variables, stage, None, stack.path)


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
    everything = workloads(catalog)
    chosen = tuple(workload for workload in everything if selected is None or workload.name in selected)
    stack = catalog.llama_stack if selected is None else None
    if stack and not stack.enabled:
        stack = None
    engine = Engine(templates, context.common(catalog))
    jobs = [*_shared_jobs(catalog, chosen, stack), *_model_jobs(catalog, chosen)]
    if stack:
        jobs += _llama_stack_jobs(catalog, everything, stack, engine)
    manifests = sorted(
        (
            Manifest(doc, job.stage, job.template, job.model, job.path)
            for job in jobs
            for doc in engine.objects(job.template, job.variables)
        ),
        key=lambda manifest: manifest.stage,
    )
    _refuse_duplicates(manifests, templates)
    return tuple(manifests)


def _refuse_duplicates(manifests: list[Manifest], templates: Mapping[str, str]) -> None:
    """Two objects of one identity would overwrite each other, and the last would win in silence."""
    seen: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        group = manifest.api_version.rpartition("/")[0]
        first = seen.setdefault((group, manifest.identity), manifest)
        if first is manifest:
            continue
        models = [made.model for made in (first, manifest) if made.model]
        raise TemplateError(
            f"{manifest.identity} is rendered twice, by {first.template} and {manifest.template}"
            + (f" for {' and '.join(dict.fromkeys(models))}" if models else ""),
            where=origin(manifest.template, templates[manifest.template]),
            hint="give the models Services of different names, or the objects different names in the template",
        )
