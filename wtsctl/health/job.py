"""Whether a Job has done its work."""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, terminating


def job(item: Object) -> Health:
    """Current once Complete, Failed once it is not tried again.

    `FailureTarget` and `SuccessCriteriaMet` come before the pods are gone; only the two final conditions count:
    https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions
    """
    if terminating(item):
        return Health(State.TERMINATING)
    found = conditions(item)
    if found.get("Complete", {}).get("status") == "True":
        return Health(State.CURRENT)
    failed = found.get("Failed", {})
    if failed.get("status") == "True":
        return Health(State.FAILED, str(failed.get("reason") or "Failed"), str(failed.get("message", "")))
    tries = int((item.get("status") or {}).get("failed") or 0)
    text = f"{tries} tries have failed" if tries > 1 else "one try has failed" if tries else "no try has failed"
    return Health(State.IN_PROGRESS, "Running", text)
