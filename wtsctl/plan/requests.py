"""What pods ask of a node: their requests, and which nodes they may run on. Pods are plain dicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wtsctl.pods.requests import Amounts, requests


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
