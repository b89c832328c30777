"""What a pod asks for, in whole numbers. Pods are plain dicts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from wtsctl.catalog.quantity import parse_quantity

# One pod takes one of the places that a node has for pods.
PODS = "pods"
CPU = "cpu"
MEMORY = "memory"
Amounts = Mapping[str, int]

_ZERO = re.compile(r"\+?0*\.?0*[A-Za-z]{0,2}")


def amount(resource: str, given: object) -> int:
    """A quantity as a whole number: thousandths of a CPU, bytes, or pieces; rounded up, as the scheduler does.

    Raises:
        ValueError: it is no quantity.
    """
    if not isinstance(given, str | int | float):
        raise ValueError(f"expected a quantity for {resource}")  # noqa: TRY004 - of the text that is read
    written = str(given).strip()
    # The catalog's own quantities are above zero; a node without GPUs says 0.
    if written and _ZERO.fullmatch(written) and "0" in written:
        return 0
    value = parse_quantity(written)
    return math.ceil(value * 1000) if resource == CPU else math.ceil(value)


def amounts(given: object) -> dict[str, int]:
    """The quantities of a mapping such as `requests` or `allocatable`."""
    found = given if isinstance(given, Mapping) else {}
    return {str(name): amount(str(name), value) for name, value in found.items() if isinstance(name, str)}


def requests(pod: Mapping[str, Any]) -> dict[str, int]:
    """What a pod's spec requests, as the scheduler and quotas count it; `pods` is 1.

    Raises:
        ValueError: it is no spec of a pod.
    """
    return _together(pod, "requests", container_requests) | {PODS: 1}


def limits(pod: Mapping[str, Any]) -> dict[str, int]:
    """What a pod's spec is limited to, as quotas count it.

    Raises:
        ValueError: it is no spec of a pod.
    """
    return _together(pod, "limits", _container_limits)


def container_requests(container: Mapping[str, Any]) -> dict[str, int]:
    """The requests of one container; a limit without a request is one."""
    return _container_limits(container) | amounts(_at(container, "resources", "requests"))


def _container_limits(container: Mapping[str, Any]) -> dict[str, int]:
    return amounts(_at(container, "resources", "limits"))


def _together(
    pod: Mapping[str, Any], part: str, of_container: Callable[[Mapping[str, Any]], dict[str, int]]
) -> dict[str, int]:
    """The amounts of a pod.

    The containers run together, with the init containers that stay (sidecars); other init containers run alone,
    before them. Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    running: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in _containers(pod, "initContainers"):
        asked = of_container(container)
        if container.get("restartPolicy") == "Always":
            _add(running, asked)
            asked = {}
        _raise(largest, {name: asked.get(name, 0) + running.get(name, 0) for name in {*asked, *running}})
    for container in _containers(pod, "containers"):
        _add(running, of_container(container))
    _raise(running, largest)
    # Those of the pod as a whole take the place of its containers' (since Kubernetes 1.32).
    running |= amounts(_at(pod, "resources", part))
    _add(running, amounts(pod.get("overhead")))
    return running


def _containers(pod: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = pod.get(key) or []
    if not isinstance(found, list | tuple) or not all(isinstance(one, Mapping) for one in found):
        raise ValueError(f"{key}: expected a list of containers")
    return list(found)


def _at(holder: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = holder
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _add(to: dict[str, int], more: Amounts) -> None:
    for name, value in more.items():
        to[name] = to.get(name, 0) + value


def _raise(to: dict[str, int], least: Amounts) -> None:
    for name, value in least.items():
        to[name] = max(to.get(name, 0), value)
