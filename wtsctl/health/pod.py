"""How far a pod has come, and whether it will get any further by itself.

Container states and their reasons: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/; the
reasons of image and container errors: kubelet's pkg/kubelet/images/types.go and container/sync_result.go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wtsctl.health.state import Object, Phase, conditions, terminating

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Waiting reasons that only a change outside the pod can end, and the phase in which they stop a pod.
_STUCK = {
    "ErrImagePull": Phase.IMAGE,
    "ImagePullBackOff": Phase.IMAGE,
    "ErrImageNeverPull": Phase.IMAGE,
    "InvalidImageName": Phase.IMAGE,
    "ImageInspectError": Phase.IMAGE,
    "SignatureValidationFailed": Phase.IMAGE,
    "CreateContainerConfigError": Phase.STARTING,
    "CreateContainerError": Phase.STARTING,
    "PreStartHookError": Phase.STARTING,
    "PostStartHookError": Phase.STARTING,
    "RunContainerError": Phase.STARTING,
}
# The reason of a pod with an init container that runs.
INITIALIZING = "PodInitializing"
# Init containers that bring the weights: KServe's, and the one of templates/vllm that waits for the download.
_WEIGHTS = frozenset({"storage-initializer", "weights"})
# For how long a reason has to stand before it is believed: the pod of a Deployment that was just corrected is
# still there for a moment, and a crash may be the first answer to a dependency that is not up yet.
_STUCK_SECONDS = 2.0
_CRASH_SECONDS = 2.0
# Restarts after which another crash is a loop; more memory does not appear by itself.
_CRASH_RESTARTS, _OOM_RESTARTS = 2, 1


@dataclass(frozen=True, slots=True)
class Cause:
    """What stops a pod.

    Attributes:
        reason: the cluster's own word, such as `ImagePullBackOff` or `OOMKilled`.
        message: what it says about it.
        container: the container that is stopped; empty where it is the pod.
        crashed: whether the container ran, so that its log is worth reading.
        grace: seconds that this has to last before it counts as final.
        at: when the cluster said so, RFC 3339; empty where that is not known.
    """

    reason: str
    message: str
    container: str = ""
    crashed: bool = False
    grace: float = _STUCK_SECONDS
    at: str = ""


@dataclass(frozen=True, slots=True)
class PodHealth:
    """One pod.

    Attributes:
        name: metadata.name.
        phase: how far it has come.
        ready: whether its Ready condition is true.
        restarts: of all its containers.
        reason: why it is not further, in the cluster's word.
        message: the same in a sentence.
        cause: set where it will get no further by itself.
    """

    name: str
    phase: Phase
    ready: bool
    restarts: int
    reason: str = ""
    message: str = ""
    cause: Cause | None = None


def pod(item: Object) -> PodHealth:
    """How far `item`, a pod that should be running a server, has come."""
    name = str(item["metadata"]["name"])
    status = item.get("status") or {}
    # An init container that ended well has done its work; a server that ends, however well, has crashed.
    sidecars = _sidecars(item)
    initializing = [one for one in status.get("initContainerStatuses") or [] if not _done(one, sidecars)]
    statuses = [*initializing, *(status.get("containerStatuses") or [])]
    restarts = sum(int(one.get("restartCount") or 0) for one in _statuses(status))
    seen = PodHealth(name, Phase.PENDING, ready=False, restarts=restarts)
    if terminating(item):
        return replace(seen, phase=Phase.TERMINATING, reason="Terminating")
    if status.get("phase") in {"Failed", "Succeeded"}:
        # Evicted, or its node was shut down: a Deployment puts another one in its place.
        return replace(
            seen, reason=str(status.get("reason") or status["phase"]), message=str(status.get("message", ""))
        )
    found = conditions(item)
    scheduled = found.get("PodScheduled", {})
    if scheduled.get("status") != "True":
        reason, message = str(scheduled.get("reason", "")), str(scheduled.get("message", ""))
        return replace(seen, phase=Phase.SCHEDULING, reason=reason, message=message)
    for one in statuses:
        stopped = _stopped(one)
        if stopped:
            phase, cause = stopped
            return replace(seen, phase=phase, reason=cause.reason, message=cause.message, cause=cause)
    phase, reason, message = _on_its_way(status, found, initializing)
    return replace(seen, phase=phase, ready=phase is Phase.READY, reason=reason, message=message)


def _on_its_way(
    status: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], initializing: Sequence[Mapping[str, Any]]
) -> tuple[Phase, str, str]:
    """Phase, reason and message of a scheduled pod that nothing stops."""
    if initializing:
        first = initializing[0]
        if "running" in (first.get("state") or {}):
            phase = Phase.WEIGHTS if first.get("name") in _WEIGHTS else Phase.STARTING
            return phase, INITIALIZING, f"init container {first.get('name')} runs"
        return _not_running(first)
    containers = status.get("containerStatuses") or []
    down = next((one for one in containers if "running" not in (one.get("state") or {})), None)
    if down is not None or not containers:
        return _not_running(down or {})
    if not all(one.get("started") for one in containers):
        return Phase.LOADING, "Loading", _last_end(containers) or "the startup probe has not passed yet"
    ready = found.get("Ready", {})
    if ready.get("status") != "True":
        text = str(ready.get("message") or "the readiness probe does not pass")
        return Phase.ENDPOINT, str(ready.get("reason") or "NotReady"), text
    return Phase.READY, "", ""


def _not_running(one: Mapping[str, Any]) -> tuple[Phase, str, str]:
    """A container that waits to be made, or between two runs."""
    state = one.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated")
    if ended or waiting.get("reason") == "CrashLoopBackOff":
        return Phase.STARTING, "Restarting", _ended(one, ended)
    reason = str(waiting.get("reason") or "ContainerCreating")
    return Phase.IMAGE, reason, str(waiting.get("message") or "the image is pulled and the container made")


def _statuses(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(name) or []


def _sidecars(item: Object) -> frozenset[str]:
    """Init containers that go on running beside the others."""
    listed = (item.get("spec") or {}).get("initContainers") or []
    return frozenset(str(one.get("name")) for one in listed if one.get("restartPolicy") == "Always")


def _done(init: Mapping[str, Any], sidecars: frozenset[str]) -> bool:
    """Whether an init container lets the others start: it ended well, or is a sidecar that has started."""
    state = init.get("state") or {}
    if init.get("name") in sidecars:
        return bool(init.get("started") and "running" in state)
    return (state.get("terminated") or {}).get("exitCode") == 0


def _stopped(one: Mapping[str, Any]) -> tuple[Phase, Cause] | None:
    """Why a container gets no further by itself, or None."""
    state, name = one.get("state") or {}, str(one.get("name", ""))
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = str(waiting.get("reason", ""))
    if reason in _STUCK:
        return _STUCK[reason], Cause(reason, str(waiting.get("message") or reason), name)
    # Between two runs a container is "terminated" at first and in CrashLoopBackOff once the kubelet tries again.
    if reason != "CrashLoopBackOff" and not ended:
        return None
    ended = ended or (one.get("lastState") or {}).get("terminated") or {}
    killed = ended.get("reason") == "OOMKilled"
    if int(one.get("restartCount") or 0) < (_OOM_RESTARTS if killed else _CRASH_RESTARTS):
        return None
    text = _ended(one, ended)
    cause = Cause("OOMKilled" if killed else "CrashLoopBackOff", text, name, crashed=True, grace=_CRASH_SECONDS)
    return Phase.STARTING, cause


def _ended(one: Mapping[str, Any], ended: Mapping[str, Any] | None) -> str:
    """How a container's last run ended, in a sentence."""
    ended = ended or (one.get("lastState") or {}).get("terminated") or {}
    why = (
        "ran out of its memory limit"
        if ended.get("reason") == "OOMKilled"
        else f"exited with code {ended.get('exitCode')}"
    )
    times = int(one.get("restartCount") or 0)
    text = str(ended.get("message") or "").strip()
    return f"container {one.get('name')} {why}, {times} restarts" + (f": {text}" if text else "")


def _last_end(containers: list[Mapping[str, Any]]) -> str:
    """What became of the run before this one, if there was one."""
    restarted = next((one for one in containers if (one.get("lastState") or {}).get("terminated")), None)
    return f"again: {_ended(restarted, None)}" if restarted else ""
