"""What the cluster's Events say about an object: the only word on volumes, and on what an autoscaler does.

Fields: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/, in the older form of `v1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wtsctl.health.state import Object


@dataclass(frozen=True, slots=True)
class Event:
    """One Event.

    Attributes:
        reason: the component's word, such as `FailedMount`.
        message: what it says.
        warning: whether its type is Warning.
        at: when it was last seen, RFC 3339.
        count: how often it was seen.
    """

    reason: str
    message: str
    warning: bool
    at: str
    count: int


def event(item: Object) -> Event:
    """The part of an Event that is read here."""
    series = item.get("series") or {}
    at = item.get("lastTimestamp") or series.get("lastObservedTime") or item.get("eventTime")
    return Event(
        reason=str(item.get("reason") or ""),
        message=str(item.get("message") or "").strip(),
        warning=item.get("type") == "Warning",
        at=str(at or item["metadata"].get("creationTimestamp") or ""),
        count=int(item.get("count") or series.get("count") or 1),
    )


def about(item: Object) -> tuple[str, str, str]:
    """Namespace, kind and name of the object that an Event is about."""
    involved = item.get("involvedObject") or {}
    return str(involved.get("namespace") or ""), str(involved.get("kind") or ""), str(involved.get("name") or "")


def of_object(listed: Iterable[Object], uid: str = "") -> list[Event]:
    """The events among `listed` that are about the object with this uid, oldest first; without one, all of them.

    An object that was made again under the same name has another uid; what was said of the first one is over.
    """
    found = [event(one) for one in listed if not uid or (one.get("involvedObject") or {}).get("uid") in {None, uid}]
    return sorted(found, key=_moment)


def newest(events: Iterable[Event], *reasons: str) -> Event | None:
    """The latest of them with one of the reasons."""
    return max((one for one in events if one.reason in reasons), key=_moment, default=None)


def _moment(one: Event) -> float:
    """Some components write whole seconds, others microseconds, which do not compare as texts."""
    return datetime.fromisoformat(one.at).timestamp() if one.at else 0.0
