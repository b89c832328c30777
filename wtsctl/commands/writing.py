"""What stands around the writing of a plan: only one deploy at a time, and only while the plan still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from wtsctl.commands.planned import Place, Planned
    from wtsctl.report.terminal import Terminal


class Writing:
    """One plan being written.

    Args:
        place: where.
        plan: what is to be done; where that is nothing, nothing is locked either.
        patience: seconds to wait for another deploy that is at work.
        screen: hears of it.
        record: hears that the plan is about to be written.

    Attributes:
        stale: the lock is held, and the plan does not hold any more.
    """

    def __init__(
        self, place: Place, plan: Planned, patience: float, screen: Terminal, record: Callable[[Planned], None]
    ) -> None:
        from wtsctl.cluster.lease import Lease

        self._place, self._plan, self._patience = place, plan, patience
        self._lease = Lease(place.client, place.home, place.catalog, screen.note, screen.warn)
        self._begun, self._record = False, record
        self.stale = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lease.release()

    def again(self, plan: Planned) -> None:
        """Write another plan instead, made while the lock is held."""
        self._plan, self.stale = plan, False

    def begin(self) -> None:
        """Once the namespaces stand, before anything else is written.

        Raises:
            ClusterLocked: another one is at work.
            ClusterRefused: the plan no longer holds.
            ClusterError: the cluster cannot be spoken to.
        """
        from wtsctl.commands.planned import changed
        from wtsctl.errors import ClusterRefused

        if self._plan.writes and not self._begun:
            self._begun = True
            self._lease.acquire(self._patience)
            # Another one may have been at work and be gone: until now nothing kept it away.
            problems = changed(self._place, self._plan, made=True)
            self.stale = bool(problems)
            if problems:
                raise ClusterRefused.of(problems)
        self._record(self._plan)

    def go_on(self) -> None:
        """Before each stage.

        Raises:
            ClusterLocked: someone took or deleted the lock.
            ClusterError: the cluster cannot be spoken to.
        """
        self._lease.check()

    def still(self) -> None:
        """Before each object; asks nobody as long as the lock was renewed in time. Raises as `go_on`."""
        self._lease.still()
