"""Whether a PersistentVolumeClaim has its volume, and whether it will ever get one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.health.events import newest
from wtsctl.health.state import Health, Object, State, status_time, terminating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.health.events import Event

# A driver that has failed this often in a row is not just being restarted.
_PROVISION_TRIES = 3


@dataclass(frozen=True, slots=True)
class ClaimFailure:
    """Why a claim gets no volume by itself, in the cluster's words, and when it said so."""

    reason: str
    message: str
    at: str


def claim(item: Object) -> Health:
    """Current once Bound. A claim that waits for its first pod is on its way, not failed."""
    if terminating(item):
        return Health(State.TERMINATING)
    phase = (item.get("status") or {}).get("phase")
    if phase == "Bound":
        return Health(State.CURRENT)
    if phase == "Lost":
        return Health(State.FAILED, "Lost", "its volume is gone")
    named = (item.get("spec") or {}).get("storageClassName")
    text = f"no volume of storage class {named} yet" if named else "no volume yet, and no storage class is named"
    return Health(State.IN_PROGRESS, "Unbound", text)


def claim_failure(item: Object, events: Sequence[Event]) -> ClaimFailure | None:
    """Why a claim stays unbound until somebody does something, by its events; or None.

    The volume controller's words (pkg/controller/volume/persistentvolume/pv_controller.go): FailedBinding where no
    class is set and none is the default, ProvisioningFailed where the class does not exist or its driver refuses.
    """
    found = claim(item)
    if found.state is State.FAILED:
        return ClaimFailure(found.reason, found.message, status_time(item))
    if found.state is not State.IN_PROGRESS:
        return None
    latest = newest(events, "FailedBinding", "ProvisioningFailed", "Provisioning", "ExternalProvisioning")
    if latest is None:
        return None
    if latest.reason == "FailedBinding":
        final = "no storage class is set" in latest.message
    else:
        final = latest.reason == "ProvisioningFailed" and (
            ("storageclass" in latest.message and "not found" in latest.message) or latest.count >= _PROVISION_TRIES
        )
    return ClaimFailure(latest.reason, latest.message, latest.at) if final else None
