"""The vocabulary of health: kstatus's states for one object, and the phases of a model's start.

kstatus: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Object = Mapping[str, Any]


class State(StrEnum):
    """What one object's status says: those of kstatus's words that an object which is there can have."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class Health:
    """One object's state, with the status's own reason and message where it gives them."""

    state: State
    reason: str = ""
    message: str = ""

    @property
    def current(self) -> bool:
        """Whether the object is what its spec asks for."""
        return self.state is State.CURRENT


class Phase(StrEnum):
    """How far a pod, or a model, has come; in this order."""

    ABSENT = "absent"
    TERMINATING = "terminating"
    PENDING = "pending"
    SCHEDULING = "scheduling"
    IMAGE = "image"
    WEIGHTS = "weights"
    STARTING = "starting"
    LOADING = "loading"
    ENDPOINT = "endpoint"
    ANSWERS = "answers"
    READY = "ready"

    @property
    def order(self) -> int:
        """Its place in the order above."""
        return _ORDER[self]


_ORDER = {phase: at for at, phase in enumerate(Phase)}


def conditions(item: Object) -> dict[str, Mapping[str, Any]]:
    """An object's `status.conditions` by type."""
    listed = (item.get("status") or {}).get("conditions") or []
    return {str(one.get("type")): one for one in listed if isinstance(one, Mapping)}


def terminating(item: Object) -> bool:
    """Whether the object has been deleted and is only waiting for its finalizers or its pods."""
    return bool(item["metadata"].get("deletionTimestamp"))


def observed(item: Object) -> bool:
    """Whether the status speaks of the spec as it is now, by kstatus's generation gate.

    Not for an InferenceService: KServe copies its child's observedGeneration
    (https://github.com/kserve/kserve/issues/6081).
    """
    seen = (item.get("status") or {}).get("observedGeneration")
    return seen is not None and int(seen) >= int(item["metadata"].get("generation", 0))


def status_time(item: Object) -> str:
    """When the cluster last wrote the object's status, RFC 3339, to the second; empty where nothing says so.

    Source: `managedFields`, https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management. No
    other field has the time of a container's waiting reason.
    """
    written = item["metadata"].get("managedFields") or []
    return max((str(one.get("time") or "") for one in written if one.get("subresource") == "status"), default="")


def replicas(item: Object) -> int:
    """How many copies an object with pods wants, in pods or in groups of them; the API server's default is one."""
    wanted = (item.get("spec") or {}).get("replicas")
    return 1 if wanted is None else int(wanted)
