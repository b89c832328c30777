"""What pods ask of a node: requests as whole numbers, and the nodes they may run on. Pods are plain dicts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Need:
    """What one pod asks of the node it runs on.

    Attributes:
        requests: by resource; `cpu` in thousandths, `pods` is 1.
        selector: labels that the node must have.
        affinity: terms of requiredDuringScheduling node affinity, one of which must hold; empty: none.
        tolerations: taints that do not keep the pod away.
    """

    requests: Amounts
    selector: Mapping[str, str] = field(default_factory=dict)
    affinity: tuple[Mapping[str, Any], ...] = ()
    tolerations: tuple[Mapping[str, Any], ...] = ()


def need(pod: Mapping[str, Any]) -> Need:
    """What a pod with this spec asks for."""
    affinity = _at(pod, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return Need(
        requests=requests(pod),
        selector=dict(pod.get("nodeSelector") or {}),
        affinity=tuple(affinity.get("nodeSelectorTerms") or ()),
        tolerations=tuple(pod.get("tolerations") or ()),
    )


def requests(pod: Mapping[str, Any]) -> dict[str, int]:
    """What a pod's spec requests, as the scheduler counts it.

    The containers run together, with the init containers that stay (sidecars); other init containers run alone,
    before them. Source: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    running: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in pod.get("initContainers") or ():
        asked = container_requests(container)
        if container.get("restartPolicy") == "Always":
            _add(running, asked)
            asked = {}
        _raise(largest, {name: asked.get(name, 0) + running.get(name, 0) for name in {*asked, *running}})
    for container in pod.get("containers") or ():
        _add(running, container_requests(container))
    _raise(running, largest)
    # Requests of the pod as a whole take the place of its containers' (since Kubernetes 1.32).
    running |= amounts(_at(pod, "resources", "requests"))
    _add(running, amounts(pod.get("overhead")))
    return running | {PODS: 1}


def container_requests(container: Mapping[str, Any]) -> dict[str, int]:
    """The requests of one container; a limit without a request is one."""
    return amounts(_at(container, "resources", "limits")) | amounts(_at(container, "resources", "requests"))


def refusal(need: Need, labels: Mapping[str, str], taints: Iterable[Mapping[str, Any]]) -> str:
    """Why a pod may not run on a node with these labels and taints, whatever is free on it; empty: it may."""
    for key, value in need.selector.items():
        if labels.get(key) != value:
            return f"no label {key}={value}"
    if need.affinity and not any(_term(term, labels) for term in need.affinity):
        return "not in the node affinity"
    for taint in taints:
        if taint.get("effect") in {"NoSchedule", "NoExecute"} and not any(
            _tolerates(toleration, taint) for toleration in need.tolerations
        ):
            value = f"={taint['value']}" if taint.get("value") else ""
            return f"taint {taint.get('key')}{value}:{taint['effect']}"
    return ""


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in {None, "", taint.get("effect")}:
        return False
    key = toleration.get("key")
    if not key:
        return toleration.get("operator") == "Exists"
    if key != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return (toleration.get("value") or "") == (taint.get("value") or "")


def _term(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or ()
    # Fields are names of nodes, which no template of ours asks for: a term with them is taken as not matching.
    return bool(expressions) and not term.get("matchFields") and all(_holds(one, labels) for one in expressions)


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(str(expression.get("key"))), list(expression.get("values") or ())
    operator = expression.get("operator")
    if operator in {"Gt", "Lt"}:
        if value is None or not value.lstrip("-").isdecimal() or len(values) != 1:
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    holds = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return holds.get(str(operator), False)


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
