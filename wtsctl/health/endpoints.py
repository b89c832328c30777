"""Which pods a Service sends requests to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wtsctl.health.state import Object

SERVICE_LABEL = "kubernetes.io/service-name"


def ready_pods(slices: Iterable[Object]) -> frozenset[str]:
    """Names of the pods behind a Service that its EndpointSlices call ready.

    A missing `ready` means ready: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
    """
    return frozenset(
        str(target.get("name"))
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True) is not False
        for target in [endpoint.get("targetRef") or {}]
        if target.get("kind") == "Pod"
    )
