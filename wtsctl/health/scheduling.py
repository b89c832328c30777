"""Why a pod has no node, or not its volumes, and whether that can change by itself."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from wtsctl.health.claim import claim, claim_failure
from wtsctl.health.events import newest
from wtsctl.health.pod import Cause
from wtsctl.health.state import Health

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from wtsctl.health.events import Event
    from wtsctl.health.index import Index
    from wtsctl.health.state import Object


class Autoscaler(StrEnum):
    """Whether something adds nodes to the cluster for pods that have none."""

    NOT_ASKED = "not-asked"
    NONE = "none"
    THERE = "there"
    UNKNOWN = "unknown"


_SECONDS = 2.0
# A claim is never corrected in place: its class cannot be changed.
_CLAIM_SECONDS = 0.5
# cluster-autoscaler looks every 10 s, Karpenter after 10 s at most, and either says what it does in an event.
_UNKNOWN_SECONDS = 30.0
# Taints that Kubernetes itself puts on a node, and takes away when the node has recovered.
_PASSES = re.compile(r"node\.kubernetes\.io/(not-ready|unreachable|network-unavailable|memory-pressure|disk-pressure)")
# cluster-autoscaler's words (core/scaleup/orchestrator and processors/status), and Karpenter's (scheduling/events).
_SCALES_UP = ("TriggeredScaleUp", "Nominated")
_DOES_NOT = "NotTriggerScaleUp"


def unschedulable(reason: str, message: str, events: Sequence[Event], index: Index, namespace: str) -> Cause | None:
    """Why a pod that the scheduler finds no node for gets none by itself, or None.

    It may get one where a pod of the namespace is on its way out or will end, where a node recovers, and where an
    autoscaler adds one; that the autoscaler says it will not is final.
    """
    if reason != "Unschedulable" or "unbound immediate PersistentVolumeClaims" in message or _PASSES.search(message):
        return None
    said = newest(events, *_SCALES_UP, _DOES_NOT)
    if said is not None:
        if said.reason != _DOES_NOT:
            return None
        return Cause(reason, f"{message} The autoscaler adds no node: {said.message}", grace=_SECONDS, at=said.at)
    if index.leaving(namespace) or index.autoscaler in {Autoscaler.NOT_ASKED, Autoscaler.THERE}:
        return None
    return Cause(reason, message, grace=_SECONDS if index.autoscaler is Autoscaler.NONE else _UNKNOWN_SECONDS)


def unbound(index: Index, namespace: str, template: Object) -> Health | None:
    """What keeps a pod's volume away: more to the point than the scheduler's own message."""
    for name, found in _claims(index, namespace, template):
        health = claim(found)
        if not health.current:
            return Health(health.state, health.reason, f"PersistentVolumeClaim {name}: {health.message}")
    return None


def claim_cause(index: Index, namespace: str, template: Object) -> tuple[Cause, Object] | None:
    """Why a volume of the pods of `template` never comes, and the claim; or None."""
    for name, found in _claims(index, namespace, template):
        failed = claim_failure(found, index.events_of(found))
        if failed:
            text = f"PersistentVolumeClaim {name}: {failed.message}"
            return Cause(failed.reason, text, grace=_CLAIM_SECONDS, at=failed.at), found
    return None


def mount_cause(phase_events: Iterable[Event]) -> Cause | None:
    """Why a volume that a pod names can never be mounted: its ConfigMap, Secret or key is not there."""
    failed = newest(phase_events, "FailedMount")
    if failed is None or not _MISSING.search(failed.message):
        return None
    return Cause("FailedMount", failed.message, grace=_SECONDS, at=failed.at)


# kubelet's pkg/volume/configmap and pkg/volume/secret: `configmap "x" not found`, `references non-existent secret key`.
_MISSING = re.compile(r'(configmap|secret) "[^"]+" not found|references non-existent (config|secret) key')


def _claims(index: Index, namespace: str, template: Object) -> Iterator[tuple[str, Object]]:
    for volume in (template.get("spec") or {}).get("volumes") or []:
        name = str((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
        found = index.by_name.get(("PersistentVolumeClaim", namespace, name))
        if found:
            yield name, found
