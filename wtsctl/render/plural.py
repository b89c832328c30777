"""The name of a kind in paths and in rules about access, without asking a cluster."""

from __future__ import annotations

# Kinds whose name is a plural already.
_PLURAL = frozenset(("Endpoints", "SecurityContextConstraints"))


def plural(kind: str) -> str:
    """The name of a kind in paths and rules, as projects name theirs; tests/cluster/test_kinds.py compares.

    Kubernetes' own guess (k8s.io/apimachinery, pkg/api/meta/restmapper.go) makes `gatewaies` of Gateway.
    """
    lower = kind.lower()
    if kind in _PLURAL:
        return lower
    if lower.endswith("y") and lower[-2:-1] not in {*"aeiou"}:
        return f"{lower[:-1]}ies"
    return f"{lower}es" if lower.endswith(("s", "x", "ch", "sh")) else f"{lower}s"
