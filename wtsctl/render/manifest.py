"""The catalog as Kubernetes objects, each with its stage of a deploy and its place in the kustomize tree."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.pods import SecretSource
from wtsctl.catalog.workload import EXTRA_PATH, workloads
from wtsctl.errors import CatalogError, TemplateError
from wtsctl.render import (
    access,
    agents,
    disruption,
    expose,
    extra,
    models,
    monitoring,
    network,
    patches,
    platform,
    quota,
    scaling,
    secrets,
    stack,
)
from wtsctl.render.job import Asked, Job, Knows, Stage, Where, somewhere
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
    secrets: Mapping[SecretSource, str] | None = None,
    where: Where = somewhere,
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
        whole=whole,
        where=where,
    )


def jobs(asked: Asked, engine: Engine) -> Iterator[Job]:
    """Every template to render, area by area; `engine` renders what stands inside another object."""
    yield from platform.jobs(asked)
    yield from secrets.jobs(asked)
    yield from network.jobs(asked)
    yield from models.jobs(asked, engine)
    yield from stack.jobs(asked, engine)
    yield from agents.jobs(asked)
    yield from disruption.jobs(asked)
    yield from scaling.jobs(asked)
    yield from expose.jobs(asked)
    yield from monitoring.jobs(asked)


def objects(asked: Asked, engine: Engine, *, parts: bool = False) -> list[Manifest]:
    """Every object that is asked for, area by area; then what follows from all others: quotas and rights."""
    made = _own(asked, engine, parts=parts)
    if asked.catalog.platform.quota.mode is not Mode.OFF:
        # A namespace holds also what is not selected.
        everything = made if asked.whole else _own(_all(asked), engine, parts=False)
        held = [one.doc for one in everything if not one.partial]
        made += _rendered(quota.jobs(asked, held), engine, parts=parts)
    made += _rendered(access.jobs(asked, [one.doc for one in made if not one.partial]), engine, parts=parts)
    return made


def _own(asked: Asked, engine: Engine, *, parts: bool) -> list[Manifest]:
    """What the entries and `extra` ask for, patched."""
    made = _rendered(jobs(asked, engine), engine, parts=parts)
    made += [Manifest(doc, stage, extra.SOURCE, None, EXTRA_PATH) for doc, stage in extra.objects(asked)]
    return patches.patched(made, asked, parts=parts)


def _all(asked: Asked) -> Asked:
    return ask(asked.catalog, knows=asked.knows, where=asked.where)


def _rendered(found: Iterable[Job], engine: Engine, *, parts: bool) -> list[Manifest]:
    return [
        Manifest(
            doc | {"data": dict(job.data)} if job.data else doc,
            job.stage,
            job.template,
            job.model,
            job.path,
            job.partial,
        )
        for job in found
        if parts or not job.partial
        for doc in engine.objects(job.template, job.variables)
    ]


def render(
    catalog: Catalog,
    templates: Mapping[str, str],
    selected: Collection[str] | None = None,
    *,
    knows: Knows = no_more,
    secrets: Mapping[SecretSource, str] | None = None,
    parts: bool = False,
    where: Where = somewhere,
) -> tuple[Manifest, ...]:
    """Every object that the catalog asks for, in the order of a deploy.

    Args:
        catalog: the checked catalog.
        templates: text by name (`vllm/deployment.yaml.j2`); a `TemplateText` also tells errors its file.
        selected: names of models; only they are rendered, with the shared objects that they need and without
            Llama Stack and the agents. None renders everything.
        knows: which kinds the cluster serves, beside those that every cluster does; decides what is `auto`.
        secrets: values of Secrets to render, by where they come from; Secrets without theirs are left out.
        parts: also what is only a part of an object that somebody else owns; its `partial` is set.
        where: the place of a path of models.yaml, for errors about what stands there.

    Raises:
        CatalogError: a patch cannot be applied, or an object under `extra` is rendered already.
        TemplateError: a template fails, or renders something that is no Kubernetes object.
    """
    engine = Engine(templates, common(catalog))
    asked = ask(catalog, selected, knows=knows, secrets=secrets, where=where)
    manifests = sorted(objects(asked, engine, parts=parts), key=lambda manifest: manifest.stage)
    _refuse_duplicates(manifests, templates, where)
    return tuple(manifests)


def _refuse_duplicates(manifests: list[Manifest], templates: Mapping[str, str], where: Where) -> None:
    """Two objects of one identity would overwrite each other, and the last would win in silence."""
    seen: dict[tuple[str, str], Manifest] = {}
    for manifest in manifests:
        group = manifest.api_version.rpartition("/")[0]
        first = seen.setdefault((group, manifest.identity), manifest)
        if first is manifest:
            continue
        if extra.SOURCE in {first.template, manifest.template}:
            raise CatalogError(
                f"extra: {manifest.identity} is there already",
                where=where("extra"),
                hint="give it another name, or change what is rendered with `patches` or a template of your own",
            )
        models = [made.model for made in (first, manifest) if made.model]
        raise TemplateError(
            f"{manifest.identity} is rendered twice, by {first.template} and {manifest.template}"
            + (f" for {' and '.join(dict.fromkeys(models))}" if models else ""),
            where=origin(manifest.template, templates[manifest.template]),
            hint="give the models Services of different names, or the objects different names in the template",
        )
