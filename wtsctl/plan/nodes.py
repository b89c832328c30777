"""Node and Pod objects, as `kubectl get -o yaml` prints them → what each node has, and what is taken of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wtsctl.plan.gpus import Gpu, gpu
from wtsctl.pods.requests import PODS, Amounts, amounts, requests

_DONE = ("Succeeded", "Failed")


class BadNode(ValueError):  # noqa: N818 - reads as what it is
    """A document that is no Node or Pod, or holds something that none can hold."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        name: of the node.
        labels: its labels.
        taints: what keeps pods away that do not tolerate it.
        allocatable: what pods may have of it, by resource.
        used: what the pods on it request already.
        problem: why nothing is scheduled on it: `cordoned`, `not ready`; empty: something is.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...]
    allocatable: Amounts
    used: Amounts = field(default_factory=dict)
    problem: str = ""

    def free(self, resource: str) -> int:
        """What is left of a resource; below zero where pods hold more than there is."""
        return self.allocatable.get(resource, 0) - self.used.get(resource, 0)

    def gpu(self, resource: str) -> Gpu | None:
        """The GPUs of a resource, by the labels of NVIDIA's GPU feature discovery; None without any."""
        if not self.allocatable.get(resource):
            return None
        label = self.labels.get(f"{resource}.memory", "")
        return gpu(self.labels.get(f"{resource}.product", ""), int(label) if label.isdecimal() else None)

    @property
    def extended(self) -> Amounts:
        """Its GPUs and other devices: resources with a domain in their name, of which it has any."""
        return {name: count for name, count in self.allocatable.items() if "/" in name and count and _device(name)}

    def empty(self, name: str) -> Node:
        """A node like this one, without pods."""
        return replace(self, name=name, used={}, problem="")


def _device(resource: str) -> bool:
    return not resource.startswith(("hugepages-", "attachable-volumes-"))


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes of a cluster.

    Attributes:
        nodes: by name.
        pods_known: whether pods were among the documents, so that `used` holds.
        ignored: pods of models that are planned, which a deploy replaces.
    """

    nodes: tuple[Node, ...]
    pods_known: bool
    ignored: int = 0


def inventory(documents: Iterable[object], planned: Callable[[Mapping[str, Any]], bool] = lambda _: False) -> Inventory:
    """The nodes among some documents, less what the pods among them request.

    Args:
        documents: Nodes, Pods, and Lists of them; other kinds are no error, and not looked at.
        planned: whether a pod belongs to what is planned, so that a deploy replaces it.

    Raises:
        BadNode: a document is no Kubernetes object, a Node is incomplete, or a quantity cannot be read.
    """
    nodes: dict[str, Node] = {}
    used: dict[str, dict[str, int]] = {}
    pods, ignored = 0, 0
    for item in _items(documents):
        if item.get("kind") == "Node":
            node = _node(item)
            if node.name in nodes:
                raise BadNode(f"Node/{node.name} is there twice")
            nodes[node.name] = node
        elif item.get("kind") == "Pod":
            pods += 1
            spec, status = _map(item, "spec"), _map(item, "status")
            name = spec.get("nodeName")
            if status.get("phase") in _DONE or not isinstance(name, str) or not name:
                continue
            if planned(item):
                ignored += 1
                continue
            on = used.setdefault(name, {})
            for resource, value in _requests(item, spec).items():
                on[resource] = on.get(resource, 0) + value
    found = (replace(node, used=used.get(name, {})) for name, node in sorted(nodes.items()))
    return Inventory(tuple(found), pods_known=pods > 0, ignored=ignored)


def _items(documents: Iterable[object]) -> Iterator[Mapping[str, Any]]:
    for at, document in enumerate(documents, 1):
        if document is None:
            continue
        if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
            raise BadNode(f"document {at} is no Kubernetes object: it has no kind")
        items = document.get("items")
        if not document["kind"].endswith("List") or not isinstance(items, list):
            yield document
            continue
        # The items of a NodeList carry no kind of their own.
        inner = document["kind"].removesuffix("List")
        for item in items:
            if not isinstance(item, Mapping):
                raise BadNode(f"document {at}: an item is no Kubernetes object")
            yield item if "kind" in item else dict(item) | {"kind": inner}


def _node(item: Mapping[str, Any]) -> Node:
    name = _map(item, "metadata").get("name")
    if not isinstance(name, str) or not name:
        raise BadNode("a Node has no metadata.name")
    given = _map(item, "status").get("allocatable")
    if not isinstance(given, Mapping):
        raise BadNode(f"Node/{name} has no status.allocatable; take it from `kubectl get nodes -o yaml`")
    try:
        allocatable = amounts(given)
    except ValueError as error:
        raise BadNode(f"Node/{name}: status.allocatable: {error}") from error
    spec = _map(item, "spec")
    conditions = _list(_map(item, "status").get("conditions"))
    ready = [one.get("status") for one in conditions if isinstance(one, Mapping) and one.get("type") == "Ready"]
    problem = "cordoned" if spec.get("unschedulable") else "not ready" if ready and ready[0] != "True" else ""
    return Node(
        name=name,
        labels=_texts(_map(item, "metadata", "labels")),
        taints=tuple(_texts(taint) for taint in _list(spec.get("taints")) if isinstance(taint, Mapping)),
        # A node that says nothing of pods has place for as many as the kubelet allows by default.
        allocatable={PODS: 110} | allocatable,
        problem=problem,
    )


def _requests(item: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, int]:
    try:
        return requests(spec)
    except (ValueError, TypeError, AttributeError) as error:
        name = "/".join(_texts(_map(item, "metadata")).get(key, "") for key in ("namespace", "name"))
        raise BadNode(f"Pod {name}: {error}") from error


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    """The plain values of a mapping, as text."""
    return {str(key): str(value) for key, value in given.items() if isinstance(value, str | int | float)}


def _list(given: object) -> list[Any]:
    return given if isinstance(given, list) else []


def _map(holder: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = holder
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
