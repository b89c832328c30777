"""Whether a LeaderWorkerSet's groups are complete: each of a leader and the workers that hold one copy with it.

Status: sigs.k8s.io/lws, api/leaderworkerset/v1/leaderworkerset_types.go. Its numbers count groups; a group is ready
once its leader and all its workers are.
"""

from __future__ import annotations

from collections.abc import Iterable

from wtsctl.health.state import Health, Object, State, observed, replicas, terminating

_REVISION = "leaderworkerset.sigs.k8s.io/template-revision-hash"


def leader_worker_set(item: Object) -> Health:
    """Current once every wanted group is of the newest revision and ready, and no further one is left.

    Its conditions are not read: `Available` stays for a moment after a change. Releases before 0.9 do not say which
    generation their numbers speak of either.
    """
    if terminating(item):
        return Health(State.TERMINATING)
    status = item.get("status") or {}
    if status.get("observedGeneration") is not None and not observed(item):
        return Health(State.IN_PROGRESS, "NotObserved", "the LeaderWorkerSet controller has not seen this change yet")
    wanted = replicas(item)
    updated, total, ready = (int(status.get(name) or 0) for name in ("updatedReplicas", "replicas", "readyReplicas"))
    if updated < wanted:
        return Health(State.IN_PROGRESS, "Updating", f"{updated} of {wanted} groups are of the new revision")
    if total > wanted:
        return Health(State.IN_PROGRESS, "OldPods", f"{total - wanted} groups more than wanted are left")
    if ready < wanted:
        return Health(State.IN_PROGRESS, "Unavailable", f"{ready} of {wanted} groups are ready")
    return Health(State.CURRENT)


def size(item: Object) -> int:
    """How many pods are in each of its groups."""
    wanted = ((item.get("spec") or {}).get("leaderWorkerTemplate") or {}).get("size")
    return 1 if wanted is None else int(wanted)


def newest_revision(pods: Iterable[Object]) -> list[Object]:
    """Of its pods those of the revision that the latest one was made from."""
    listed = sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp", "")))
    revisions = [(one["metadata"].get("labels") or {}).get(_REVISION) for one in listed]
    return [one for one, revision in zip(listed, revisions, strict=True) if revision == revisions[-1]]
