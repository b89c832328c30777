"""Where a catalog's objects are, and which it names itself: what `delete` has to know beside their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Mode
from wtsctl.plan.membership import Scope

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Belongings:
    """What a catalog has in a cluster.

    Attributes:
        namespaces: those of models and Llama Stack.
        others: those of agents, of `extra`, and of the account for CI.
        named: kind, namespace and name of what may have to be asked for by name.
        further: apiVersion and kind of its `extra` objects.
    """

    namespaces: tuple[str, ...]
    others: tuple[str, ...]
    named: tuple[tuple[str, str, str], ...]
    further: tuple[tuple[str, str], ...]


def belongings(catalog: Catalog, selected: Collection[str] | None) -> Belongings:
    """What a catalog has, or only what the selected models have."""
    from wtsctl.render.manifest import ask
    from wtsctl.render.secrets import wanted_secrets

    asked = ask(catalog, selected)
    access, priority = catalog.platform.access, catalog.platform.priority_class
    spaces = [load.namespace for load in asked.chosen]
    named = [("Secret", one.namespace, one.name) for one in wanted_secrets(asked) if one.sources]
    others: list[str] = []
    further: list[tuple[str, str]] = []
    if asked.whole:
        stack = catalog.llama_stack
        home = catalog.defaults.namespace
        others.append(home)
        # The record of what belongs to the catalog: see plan/membership.py.
        named.append(("ConfigMap", home, f"wtsctl-{catalog.name}"))
        # Also of one that is no longer enabled.
        spaces += [stack.namespace, *stack.also_in] if stack else []
        others += [agent.namespace for agent in catalog.agents if agent.image]
        documents = list(catalog.extra)
        further = [(str(one["apiVersion"]), str(one["kind"])) for one in documents]
        others += [str(space) for one in documents if (space := one["metadata"].get("namespace"))]
        if priority is not None:
            named.append(("PriorityClass", "", priority.name))
        if access.mode is not Mode.OFF:
            others += [access.namespace] if access.namespace else []
            named += [(kind, space, access.name) for space in (*spaces, *others) for kind in ("Role", "RoleBinding")]
            own = f"{catalog.name}-{access.name}"
            named += [(kind, "", own) for kind in ("ClusterRole", "ClusterRoleBinding")]
    others = [space for space in others if space not in spaces]
    return Belongings(_once(spaces), _once(others), _once(named), _once(further))


def recorded_too(mine: Belongings, scope: Scope) -> Belongings:
    """What a catalog has, and what it had and was recorded: models that were taken out of models.yaml among it."""
    spaces = [namespace for _, _, namespace in scope.lists] + [namespace for _, _, namespace, _ in scope.named]
    spaces += [name for _, kind, _, name in scope.named if kind == "Namespace"]
    others = _once((*mine.others, *sorted(space for space in spaces if space and space not in mine.namespaces)))
    named = _once((*mine.named, *sorted((kind, namespace, name) for _, kind, namespace, name in scope.named)))
    further = _once((*mine.further, *sorted((version, kind) for version, kind, _ in scope.lists)))
    return Belongings(mine.namespaces, others, named, further)


def _once(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))
