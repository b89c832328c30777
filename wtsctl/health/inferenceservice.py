"""What a KServe InferenceService says of itself; never enough to call a model ready.

KServe keeps Ready=True during a rollout (kserve#4626) and while its pod crash-loops (#1859), and copies its
child's observedGeneration (#6081). So this only finds failures that no pod shows; the pods decide the rest.
"""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, terminating


def inference_service(item: Object) -> Health:
    """Failed where KServe refuses the spec or gave up on the load; Current is its own word, to be checked."""
    if terminating(item):
        return Health(State.TERMINATING)
    status = item.get("status") or {}
    model = status.get("modelStatus") or {}
    transition = model.get("transitionStatus")
    if transition in {"InvalidSpec", "BlockedByFailedLoad"}:
        info = model.get("lastFailureInfo") or {}
        return Health(State.FAILED, str(info.get("reason") or transition), str(info.get("message") or transition))
    ready = conditions(item).get("Ready")
    if ready is None:
        return Health(
            State.IN_PROGRESS, "NotReconciled", "KServe has not said anything about it; does its controller run?"
        )
    if ready.get("status") == "True":
        return Health(State.CURRENT)
    return Health(State.IN_PROGRESS, str(ready.get("reason") or "NotReady"), str(ready.get("message") or ""))
