"""What kinds are called in rules about access."""

from __future__ import annotations

import pytest

from wtsctl.render.plural import plural


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Gateway", "gateways"),
        ("NetworkPolicy", "networkpolicies"),
        ("Endpoints", "endpoints"),
        ("SecurityContextConstraints", "securitycontextconstraints"),
        ("Ingress", "ingresses"),
        ("ServiceMesh", "servicemeshes"),
        ("ScaledObject", "scaledobjects"),
    ],
)
def test_plurals(kind: str, name: str) -> None:
    """Rules for CI name kinds by the plural that the API server has for them."""
    assert plural(kind) == name
