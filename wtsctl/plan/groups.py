"""Rendered manifests → the pods that will run, in groups that only run together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.plan.requests import Need, need
from wtsctl.pods.made import Scaled, countable, each, identity, replicas, scaled_by, whole_templates

_LEFT_OUT = frozenset(("CronJob", "DaemonSet"))


@dataclass(frozen=True, slots=True)
class Group:
    """One replica: a pod, or several that serve one model together.

    Attributes:
        owner: the object that makes it, as `NAMESPACE/KIND/NAME`.
        model: the model it serves; None for what serves none, such as Llama Stack.
        replica: its number, from 1.
        pods: what each of its pods asks for.
    """

    owner: str
    model: str | None
    replica: int
    pods: tuple[Need, ...]


def groups(objects: Iterable[tuple[Mapping[str, Any], str | None]]) -> tuple[Group, ...]:
    """The pods of rendered objects, each given with the model it belongs to.

    As many replicas are counted as an object starts with. A Job is counted beside the servers, as an object without a
    model: a server's pod is scheduled at once and holds what it requests while it waits for its download. What runs
    on each node (DaemonSet) or later (CronJob) is not counted.

    Raises:
        TemplateError: an object is not what the API server would take for one of its kind.
    """
    objects = list(objects)
    scaled: dict[tuple[str, str], tuple[int, int]] = {}
    for doc, _ in objects:
        with countable(doc):
            scaled |= scaled_by([doc])
    return tuple(group for doc, model in objects for group in _groups(doc, model, scaled))


def _groups(doc: Mapping[str, Any], model: str | None, scaled: Scaled) -> Iterator[Group]:
    if doc.get("kind") in _LEFT_OUT:
        return
    with countable(doc):
        pods = tuple(one for template in whole_templates(doc) for one in [need(template.spec)] * each(doc, template))
        count = replicas(doc, scaled) if pods else 0
    for at in range(count):
        yield Group(identity(doc), None if doc.get("kind") == "Job" else model, at + 1, pods)


def replaced(groups: Iterable[Group], installation: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a pod is one of those that are planned: a deploy replaces it, so that what it takes is free.

    Args:
        groups: what is planned.
        installation: name of the catalog.
    """
    planned = {tuple(group.owner.split("/")) for group in groups}
    names = {(parts[0], parts[-1]) for parts in planned}

    def ours(pod: Mapping[str, Any]) -> bool:
        metadata = pod.get("metadata") or {}
        labels = metadata.get("labels") or {}
        return (
            labels.get("app.kubernetes.io/managed-by") == "wtsctl"
            and labels.get("app.kubernetes.io/part-of") == installation
            and (metadata.get("namespace"), labels.get("app.kubernetes.io/instance")) in names
        )

    return ours
