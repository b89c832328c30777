"""The lock on a catalog: a Lease that one deploy or delete holds while it writes, and that ends by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.identity import Holder, has_ended
from wtsctl.errors import ClusterError, ClusterLocked, Problem
from wtsctl.health.holding import Holding, Watch
from wtsctl.plan.membership import bookkeeping_labels

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client, Object

LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
HELD_SECONDS = 15.0
"""How long a holder that says nothing any more, because it was killed, still holds."""
# Of these so many renewals, so that whoever waits soon sees that the holder is alive.
_RENEWALS = 5
_LOOK_SECONDS, _SAY_SECONDS = 0.5, 5.0
_RUN, _PROCESS = "wtsctl.io/run", "wtsctl.io/process"
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409


class Lease:
    """The lock on one catalog.

    Args:
        client: the cluster.
        namespace: where the Lease lies.
        catalog: name of the catalog.
        told: hears how waiting goes on.
        warn: hears what has to be known in any case.
        holder: who asks; None: this process.
        seconds: how long it holds without being renewed.
        clock: seconds, from any start, never going back.
        sleep: waits the given seconds.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        catalog: str,
        told: Callable[[str], None],
        warn: Callable[[str], None],
        *,
        holder: Holder | None = None,
        seconds: float = HELD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._namespace, self._catalog = namespace, catalog
        self._told, self._warn = told, warn
        self._holder = holder
        self._seconds = seconds
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ours: Object | None = None
        self._lost = ""
        self._said = 0.0

    @property
    def identity(self) -> str:
        """How messages name it."""
        return objects.label(LEASE.kind, self._namespace, self._name)

    @property
    def _name(self) -> str:
        return f"wtsctl-{self._catalog}"

    def acquire(self, patience: float) -> bool:
        """Take the Lease, and renew it in the background until `release`; returns whether another held it before.

        A holder that renews it is waited for as long as `patience` says. One that does not any more is waited for
        until its time is over, whatever `patience` says, and then replaced. Without the right to Leases nothing is
        held, and that is said.

        Args:
            patience: seconds to wait for a holder that is alive.

        Raises:
            ClusterLocked: another one holds it, and goes on to.
            ClusterError: the cluster cannot be spoken to.
        """
        began = self._clock()
        watch, said, waited = Watch(), -_SAY_SECONDS, False
        try:
            there = self._create()
            while there is not None:
                now = self._clock()
                holding = watch.see(there, now)
                ended = has_ended(_annotations(there).get(_PROCESS, ""))
                if holding is Holding.EXPIRED or ended or _annotations(there).get(_RUN) == self._me.run:
                    there = self._take_over(there)
                    waited = True
                    continue
                if holding is Holding.ALIVE and now - began >= patience:
                    raise self._locked(there)
                if now - said >= _SAY_SECONDS:
                    self._told(self._waiting(there, holding, watch.left(there, now)))
                    said = now
                self._sleep(_LOOK_SECONDS)
                waited = True
                there = self._look() or self._create()
        except ApiRefused as error:
            if error.status not in {_FORBIDDEN, _NOT_FOUND}:
                raise
            text = error.problem.message
            self._warn(f"warning: without a lock, so that nothing keeps a second deploy away meanwhile: {text}")
            return waited
        threading.Thread(target=self._renewing, daemon=True).start()
        return waited

    def check(self) -> None:
        """Go on only while the Lease is held.

        Raises:
            ClusterLocked: it was taken or deleted.
            ClusterError: the cluster cannot be spoken to.
        """
        # What was renewed just now need not be renewed again.
        self._renew(unless_within=_LOOK_SECONDS)
        if self._lost:
            hint = "what was applied stays; deploy again once the other one is done"
            error = ClusterLocked(self._lost, where=self.identity, hint=hint)
            error.problems = (Problem("cluster.lock-lost", self._lost, self.identity, hint),)
            raise error

    def still(self) -> None:
        """As `check`, without a request as long as the last renewal is not older than it should be."""
        if self._lost or self._clock() - self._said > 2 * self._seconds / _RENEWALS:
            self.check()

    def release(self) -> None:
        """Give the Lease back, if it is held; what cannot be given back expires."""
        self._over.set()
        with self._lock:
            if self._ours is None or self._lost:
                return
            ours, self._ours = self._ours, None
        try:
            there: Object | None = ours
            # Until it is gone, or somebody else's: a renewal that Ctrl-C broke off may have reached the API server, and
            # then it is another version than the one that we know.
            while there is not None and _annotations(there).get(_RUN) == self._me.run:
                if self._deleted(there):
                    return
                there = self._look()
        except ClusterError as error:
            self._kept(error)

    def _deleted(self, there: Object) -> bool:
        """Delete just this version of the Lease; False where it is another one by now."""
        # In the background: in the foreground it would stay until a controller has seen it.
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        body["preconditions"] = {key: there["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            self._client.request("DELETE", self._path, body=body, where=self.identity)
        except ApiRefused as error:
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise
            return error.status == _NOT_FOUND
        return True

    def _kept(self, error: ClusterError) -> None:
        self._warn(f"warning: the lock could not be given back, and ends in {self._seconds:g} s: {error.problems[0]}")

    @property
    def _me(self) -> Holder:
        self._holder = self._holder or Holder.me(self._client)
        return self._holder

    @property
    def _path(self) -> str:
        return LEASE.path(self._namespace, self._name)

    def _create(self) -> Object | None:
        """Make the Lease; returns None where it is ours now, else the one that is there."""
        me, now = self._me, _now()
        spec = {"acquireTime": now, "renewTime": now, "leaseTransitions": 0}
        labels = bookkeeping_labels(self._catalog, "lock")
        body = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "labels": labels, "annotations": self._mark(me)},
            "spec": spec | self._hold(me),
        }
        while True:
            try:
                self._ours = self._client.exchange(
                    "POST",
                    LEASE.path(self._namespace),
                    query={"fieldManager": objects.FIELD_MANAGER},
                    body=body,
                    where=self.identity,
                    # One that was made by an answer which never came is found by its run.
                    repeatable=True,
                )[1]
            except ApiRefused as error:
                if error.status != _CONFLICT:
                    raise
                # It may have gone since.
                there = self._look()
                if there is not None:
                    return there
            else:
                self._said = self._clock()
                return None

    def _take_over(self, there: Object) -> Object | None:
        """Take a Lease whose holder is gone; returns as `_create` does."""
        me, now = self._me, _now()
        times = {"acquireTime": now, "renewTime": now}
        count = int((there.get("spec") or {}).get("leaseTransitions") or 0) + 1
        body: Object = {
            "metadata": {
                "resourceVersion": there["metadata"]["resourceVersion"],
                "annotations": self._mark(me),
            },
            "spec": times | self._hold(me) | {"leaseTransitions": count},
        }
        try:
            self._ours = self._patch(body)
            self._said = self._clock()
        except ApiRefused as error:
            # Someone else was faster, or it was given back.
            if error.status not in {_CONFLICT, _NOT_FOUND}:
                raise
            return self._look() or self._create()
        if _annotations(there).get(_RUN) != me.run:
            self._warn(f"took the lock over from {_who(there)}, which does not renew it any more")
        return None

    def _mark(self, me: Holder) -> dict[str, str]:
        return {_RUN: me.run, _PROCESS: me.process}

    def _hold(self, me: Holder) -> dict[str, Any]:
        return {"holderIdentity": me.who, "leaseDurationSeconds": max(1, round(self._seconds))}

    def _look(self) -> Object | None:
        try:
            return self._client.request("GET", self._path, where=self.identity)
        except ApiRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _patch(self, body: Object) -> Object:
        return self._client.exchange(
            "PATCH",
            self._path,
            query={"fieldManager": objects.FIELD_MANAGER},
            body=body,
            content_type="application/merge-patch+json",
            where=self.identity,
            # It names the version that it is about.
            repeatable=True,
        )[1]

    def _renewing(self) -> None:
        while not self._over.wait(self._seconds / _RENEWALS):
            try:
                self._renew()
            except ClusterError:
                # Tried again, and looked at before anything else is written.
                continue
            if self._lost:
                return

    def _renew(self, unless_within: float = 0.0) -> None:
        with self._lock:
            if self._ours is None or self._lost or self._over.is_set():
                return
            asked = self._clock()
            if asked - self._said < unless_within:
                return
            try:
                version = self._ours["metadata"]["resourceVersion"]
                self._ours = self._patch({"metadata": {"resourceVersion": version}, "spec": {"renewTime": _now()}})
                self._said = asked
            except ApiRefused as error:
                if error.status not in {_CONFLICT, _NOT_FOUND}:
                    raise
                there = self._look()
                if there is None:
                    self._lost = "the lock was lost: someone deleted it"
                elif _annotations(there).get(_RUN) != self._me.run:
                    self._lost = f"the lock was lost: {_who(there)} holds it now"
                else:
                    # Ours, written by an answer that never came, or by someone who put a label on it.
                    self._ours = there

    def _locked(self, there: Object) -> ClusterLocked:
        hint = "wait until it is done, or give --lock-timeout, such as --lock-timeout 10m"
        return ClusterLocked(f"another one is at work on this catalog: {_held(there)}", where=self.identity, hint=hint)

    def _waiting(self, there: Object, holding: Holding, left: float) -> str:
        if holding is Holding.ALIVE:
            return f"waiting for the lock: {_held(there)}"
        return f"looking whether the holder of the lock is alive, for {left:.0f} s at most: {_held(there)}"


def _annotations(lease: Object) -> dict[str, str]:
    return lease["metadata"].get("annotations") or {}


def _who(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "nobody")


def _held(lease: Object) -> str:
    spec = lease.get("spec") or {}
    since, renewed = (str(spec.get(key) or "?").partition(".")[0] for key in ("acquireTime", "renewTime"))
    return f"{_who(lease)}, since {since}Z, last renewed {renewed}Z by its clock"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
