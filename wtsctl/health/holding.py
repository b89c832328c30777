"""Whether the holder of a Lease is alive, judged by our own clock alone, as client-go's leader election does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# Where a Lease does not say how long it holds.
_USUAL_SECONDS = 15.0
# Longer than any that wtsctl writes; a Lease that someone made by hand must not lock a catalog for a day.
_LONGEST_SECONDS = 120.0


class Holding(StrEnum):
    """What is known of who holds a Lease."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    EXPIRED = "expired"


@dataclass(slots=True)
class Watch:
    """Looks at one Lease again and again.

    The times in it are of the holder's clock, which may be wrong. So a holder is alive once it was seen to renew, and
    gone once it has not for as long as it said that it would hold.
    """

    _record: tuple[object, ...] = ()
    _since: float = 0.0
    _looks: int = 0

    def see(self, lease: Mapping[str, Any], now: float) -> Holding:
        """What is known after another look.

        Args:
            lease: the Lease as it is now.
            now: seconds of our clock, from any start.
        """
        spec = lease.get("spec") or {}
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("acquireTime"))
        if record != self._record:
            self._record, self._since = record, now
            self._looks += 1
            return Holding.ALIVE if self._looks > 1 else Holding.UNKNOWN
        if now - self._since >= duration(spec):
            return Holding.EXPIRED
        return Holding.ALIVE if self._looks > 1 else Holding.UNKNOWN

    def left(self, lease: Mapping[str, Any], now: float) -> float:
        """Seconds until the Lease counts as expired, if nothing changes."""
        return max(0.0, self._since + duration(lease.get("spec") or {}) - now)


def duration(spec: Mapping[str, Any]) -> float:
    """For how many seconds without a word a holder holds."""
    found = spec.get("leaseDurationSeconds")
    return min(float(found), _LONGEST_SECONDS) if isinstance(found, int) and found > 0 else _USUAL_SECONDS
