"""What a KServe InferenceService says of itself; never enough to call a model ready.

KServe keeps Ready=True during a rollout (kserve#4626) and while its pod crash-loops (#1859), and copies its
child's observedGeneration (#6081). Its FailedToLoad is read off the first pod: one crash of the download is enough,
and the word stays while the next try goes well (PropagateModelStatus in kserve's inference_service_status.go). So
this only finds what no pod can show, a spec that KServe makes no Deployment of; the pods decide the rest.
"""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, terminating


def inference_service(item: Object) -> Health:
    """Failed where KServe refuses the spec; Current is its own word, to be checked."""
    if terminating(item):
        return Health(State.TERMINATING)
    status = item.get("status") or {}
    model = status.get("modelStatus") or {}
    if model.get("transitionStatus") == "InvalidSpec":
        info = model.get("lastFailureInfo") or {}
        return Health(State.FAILED, str(info.get("reason") or "InvalidSpec"), str(info.get("message", "")))
    ready = conditions(item).get("Ready")
    if ready is None:
        return Health(
            State.IN_PROGRESS, "NotReconciled", "KServe has not said anything about it; does its controller run?"
        )
    if ready.get("status") == "True":
        return Health(State.CURRENT)
    return Health(State.IN_PROGRESS, str(ready.get("reason") or "NotReady"), str(ready.get("message") or ""))
