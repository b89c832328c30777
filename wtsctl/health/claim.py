"""Whether a PersistentVolumeClaim has its volume."""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, terminating


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
