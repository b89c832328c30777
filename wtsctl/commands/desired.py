"""What the command line asks for, as manifests for one cluster; shared by `deploy` and `diff`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.catalog.workload import Workload
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.plan.impact import Served
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.terminal import Terminal


class Part(StrEnum):
    """A stage of a deploy, as `--only` names it."""

    NAMESPACE = "namespace"
    CONFIG = "config"
    MODELS = "models"
    LLAMA_STACK = "llama-stack"
    AGENTS = "agents"


class RoleName(StrEnum):
    """What models are for, as `--role` names it; the same as in models.yaml."""

    CHAT = "chat"
    CODE = "code"
    DOCS = "docs"
    SAFETY = "safety"


Roles = Annotated[
    list[RoleName] | None, typer.Option("--role", help="Only models of this role, without Llama Stack; repeatable.")
]
Only = Annotated[list[Part] | None, typer.Option("--only", help="Only this stage of a deploy; repeatable.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the catalog, from where.

    Attributes:
        models: names, aliases or globs.
        roles: of models.
        only: stages.
        file: of the catalog.
        profile: of the catalog.
        templates: laid over the built-in ones.
    """

    models: Sequence[str]
    roles: Sequence[RoleName]
    only: Sequence[Part]
    file: Path
    profile: str | None
    templates: Path | None

    @property
    def some(self) -> bool:
        """Whether only some models are asked for: then without Llama Stack and the agents."""
        return bool(self.models or self.roles)

    def has(self, part: Part) -> bool:
        """Whether a stage is asked for."""
        return not self.only or part in self.only


def read(wanted: Wanted) -> tuple[LoadedCatalog, tuple[Workload, ...]]:
    """The catalog, and the models of it that are asked for.

    Raises:
        CatalogError: it cannot be read, or something in it is wrong.
        SelectionError: a name, a pattern or a role matches nothing.
    """
    from wtsctl.catalog.selection import of_roles, select
    from wtsctl.commands.inputs import read_catalog

    loaded = read_catalog(wanted.file, wanted.profile)
    chosen = select(loaded.workloads, wanted.models)
    return loaded, of_roles(chosen, [one.value for one in wanted.roles])


def desired(
    wanted: Wanted,
    found: tuple[LoadedCatalog, tuple[Workload, ...]],
    client: Client,
    discovery: Discovery,
    screen: Terminal,
    *,
    look_only: bool = False,
) -> tuple[Manifest, ...]:
    """Render what is asked for, in the order of a deploy; `found` is from `read`.

    The values of Secrets are those that are on this machine.

    With `look_only` a value that is nowhere is no error: nothing will be applied.

    Raises:
        SelectionError: there is nothing in the stages that are asked for.
        TemplateError: a template fails, or no model has an object.
        UsageError: a value of a Secret is neither here nor in the cluster.
        ClusterError: the cluster cannot be spoken to.
    """
    from wtsctl.commands.inputs import read_templates
    from wtsctl.commands.secrets import keep_or_refuse, read_values
    from wtsctl.errors import SelectionError, TemplateError
    from wtsctl.render.job import Stage
    from wtsctl.render.manifest import ask, render
    from wtsctl.render.secrets import sources, wanted_secrets

    loaded, chosen = found
    named = {one.name for one in chosen} if wanted.some else None
    secrets = wanted_secrets(ask(loaded.catalog, named)) if wanted.has(Part.CONFIG) else ()
    values = read_values(sources(secrets), wanted.file)
    texts = read_templates(wanted.templates, screen.warn)
    manifests = render(loaded.catalog, texts, named, knows=discovery.serves, secrets=values.known, where=loaded.where)
    if not any(one.stage >= Stage.MODELS for one in manifests):
        raise TemplateError("the templates render no object for any model", hint="compare with `wtsctl render`")
    manifests = tuple(one for one in manifests if wanted.has(Part(one.stage.word)))
    if not manifests:
        raise SelectionError(f"there is nothing in stage {', '.join(wanted.only)}")
    if not look_only:
        keep_or_refuse(client, secrets, values, screen)
    elif values.lacking:
        screen.note(f"Secrets whose values are not here are not compared: {'; '.join(values.lacking.values())}")
    return manifests


def served(loaded: LoadedCatalog, chosen: Sequence[Workload], *, llama_stack: bool) -> list[Served]:
    """The servers that users know, to say what changes mean for them."""
    from wtsctl.plan.impact import Served

    found = [
        Served(one.name, one.namespace, one.object_name, one.gpus * _pods_of(one), one.startup_seconds)
        for one in chosen
    ]
    stack = loaded.catalog.llama_stack
    if llama_stack and stack and stack.enabled:
        found.append(Served("llama-stack", stack.namespace, stack.service.name, 0, _STACK_SECONDS))
    return found


# What its startup probe allows: see templates/llama-stack/deployment.yaml.j2.
_STACK_SECONDS = 300.0


def _pods_of(workload: Workload) -> int:
    """How many pods one replica is spread over."""
    return workload.spec.parallel.pipeline if workload.grouped else 1
