"""Whether a Deployment's rollout is complete.

The rules of `kubectl rollout status`, with the generation gate:
https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
"""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, observed, replicas, terminating


def deployment(item: Object) -> Health:
    """Current once every wanted replica is of the newest revision and available, and no old one is left.

    Failed where the controller may not create pods (quota, admission), and where the progress deadline passed.
    The latter says nothing about a model that is still loading; the caller looks at the pods.
    """
    if terminating(item):
        return Health(State.TERMINATING)
    if not observed(item):
        return Health(State.IN_PROGRESS, "NotObserved", "the Deployment controller has not seen this change yet")
    found = conditions(item)
    refused, progressing = found.get("ReplicaFailure", {}), found.get("Progressing", {})
    if refused.get("status") == "True":
        return Health(State.FAILED, str(refused.get("reason", "")), str(refused.get("message", "")))
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health(State.FAILED, "ProgressDeadlineExceeded", str(progressing.get("message", "")))
    return _counted(item)


def _counted(item: Object) -> Health:
    """By the numbers of pods: all new, none old, all available."""
    status, wanted = item.get("status") or {}, replicas(item)
    updated, total, available = (
        int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "availableReplicas")
    )
    if updated < wanted:
        return Health(State.IN_PROGRESS, "Updating", f"{updated} of {wanted} pods are of the new revision")
    if total > updated:
        return Health(State.IN_PROGRESS, "OldPods", f"{total - updated} pods of an older revision are left")
    if available < wanted:
        return Health(State.IN_PROGRESS, "Unavailable", f"{available} of {wanted} pods are available")
    return Health(State.CURRENT)
