"""Whether the holder of a Lease is alive: looks at it on a clock of our own, given one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from wtsctl.cluster.identity import has_ended, process
from wtsctl.health.holding import Holding, Watch

UNKNOWN, ALIVE, EXPIRED = Holding.UNKNOWN, Holding.ALIVE, Holding.EXPIRED


def lease(renewed: str, holder: str = "ada", seconds: Any = 15) -> dict[str, Any]:
    """A Lease as far as it matters."""
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds}}


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # Its clock may be years behind: only that nothing changes says that it is gone.
        ([(0, lease("1999")), (14.9, lease("1999")), (15, lease("1999"))], [UNKNOWN, UNKNOWN, EXPIRED]),
        ([(0, lease("1")), (3, lease("2")), (17, lease("2")), (18, lease("2"))], [UNKNOWN, ALIVE, ALIVE, EXPIRED]),
        ([(0, lease("1")), (14, lease("1", "bob"))], [UNKNOWN, ALIVE]),
        ([(0, lease("1", seconds=1)), (1, lease("1", seconds=1))], [UNKNOWN, EXPIRED]),
        ([(0, lease("1", seconds=None)), (14, lease("1", seconds=None))], [UNKNOWN, UNKNOWN]),
        ([(0, lease("1", seconds=86400)), (120, lease("1", seconds=86400))], [UNKNOWN, EXPIRED]),
        ([(0, {}), (15, {})], [UNKNOWN, EXPIRED]),
    ],
)
def test_a_holder_is_gone_once_nothing_changes(looks: list[Any], expected: list[Holding]) -> None:
    """Alive once seen to renew, gone once it was not seen to for as long as it holds; never by its own clock."""
    watch = Watch()
    assert [watch.see(item, at) for at, item in looks] == expected


def test_the_time_that_is_left() -> None:
    """A person who waits hears how long at most."""
    watch = Watch()
    watch.see(lease("1"), 100.0)
    assert watch.left(lease("1"), 104.0) == 11.0
    assert watch.left(lease("1"), 200.0) == 0.0


def test_a_process_that_has_ended_is_known_on_its_own_machine() -> None:
    """A killed process of this machine has ended; a running one, one elsewhere and an unreadable one are not known."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    place = process().rpartition("/")[0]
    assert not has_ended(process())
    assert not has_ended(f"{place}/{os.getppid()}")
    done.wait()
    assert has_ended(f"{place}/{done.pid}")
    assert not has_ended(f"other-boot/pid:[1]/{done.pid}")
    assert not has_ended(f"{place}/x")
    assert not has_ended("")
