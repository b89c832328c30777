"""The catalog as Kubernetes objects, each with its stage of a deploy and its place in the kustomize tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.workload import workloads
from wtsctl.errors import TemplateError
from wtsctl.render import models, platform, stack
from wtsctl.render.job import Asked, Job, Knows, Stage
from wtsctl.render.templates import Engine, origin


def no_more(api_version: str, kind: str) -> bool:  # noqa: ARG001 - the signature of Knows
    """What is known of a cluster that nobody asked: nothing beyond what every cluster serves."""
    return False


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object as it should be.

    Attributes:
        doc: the object; treat it as read-only.
        stage: when a deploy applies it.
        template: the template it was rendered from, for example `vllm/deployment.yaml.j2`.
        model: the model it belongs to, or None for what is shared or belongs to Llama Stack.
        path: its folder in the kustomize tree, relative to `kubernetes/`.
        partial: a part of an object that somebody else owns.
    """

    doc: dict[str, Any]
    stage: Stage
    template: str
    model: str | None
    path: str
    partial: bool = False

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


def common(catalog: Catalog) -> dict[str, Any]:
    """What every template can name.

    Variables:
        installation: `name` of the catalog
        cache: `cache` of the catalog, or `none`
        huggingface: where the token lies (`name` of the Secret, `key` in it), or `none`
        tokenServiceAccount: name of the ServiceAccount from `shared/serviceaccount.yaml.j2`, or `none`
    """
    huggingface = catalog.secrets.huggingface
    return {
        "installation": catalog.name,
        "cache": catalog.cache.model_dump(mode="json", by_alias=True) if catalog.cache else None,
        "huggingface": huggingface.model_dump(mode="json", by_alias=True) if huggingface else None,
        "tokenServiceAccount": platform.TOKEN_SERVICE_ACCOUNT if huggingface else None,
    }


def ask(
    catalog: Catalog,
    selected: Collection[str] | None = None,
    *,
    knows: Knows = no_more,
    secrets: Mapping[tuple[str, str], str] | None = None,
) -> Asked:
    """What is to be rendered, from the arguments of `render`."""
    everything = workloads(catalog)
    whole = selected is None
    return Asked(
        catalog=catalog,
        everything=everything,
        chosen=tuple(load for load in everything if selected is None or load.name in selected),
        stack=catalog.llama_stack if whole and catalog.llama_stack and catalog.llama_stack.enabled else None,
        agents=catalog.agents if whole else (),
        knows=knows,
        secrets=secrets or {},
    )


def jobs(asked: Asked, engine: Engine) -> Iterator[Job]:
    """Every template to render, area by area; `engine` renders what stands inside another object."""
    yield from platform.jobs(asked)
    yield from models.jobs(asked)
    yield from stack.jobs(asked, engine)


def render(
    catalog: Catalog,
    templates: Mapping[str, str],
    selected: Collection[str] | None = None,
    *,
    knows: Knows = no_more,
    secrets: Mapping[tuple[str, str], str] | None = None,
) -> tuple[Manifest, ...]:
    """Every object that the catalog asks for, in the order of a deploy.

    Args:
        catalog: the checked catalog.
        templates: text by name (`vllm/deployment.yaml.j2`); a `TemplateText` also tells errors its file.
        selected: names of models; only they are rendered, with the shared objects that they need and without
            Llama Stack and the agents. None renders everything.
        knows: which kinds the cluster serves, beside those that every cluster does; decides what is `auto`.
        secrets: values of Secrets to render, by (name of the Secret, key).

    Raises:
        TemplateError: a template fails, or renders something that is no Kubernetes object.
    """
    engine = Engine(templates, common(catalog))
    manifests = sorted(
        (
            Manifest(doc, job.stage, job.template, job.model, job.path, job.partial)
            for job in jobs(ask(catalog, selected, knows=knows, secrets=secrets), engine)
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
