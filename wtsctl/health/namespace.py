"""Whether a namespace takes new objects."""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, terminating


def namespace(item: Object) -> Health:
    """Terminating with the conditions that say what holds it up, else Current."""
    if terminating(item) or (item.get("status") or {}).get("phase") == "Terminating":
        held = [
            str(one.get("message"))
            for kind, one in conditions(item).items()
            if kind in {"NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure"}
            and one.get("status") == "True"
        ]
        return Health(State.TERMINATING, "Terminating", "; ".join(held))
    return Health(State.CURRENT)
