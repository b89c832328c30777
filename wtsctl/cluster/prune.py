"""Deleting what a catalog no longer wants, once what it wants was applied; each outcome as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.apply import Outcome
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.prepare import BY_NAME
from wtsctl.cluster.remove import Fate, Target, remove, target, wait_gone
from wtsctl.errors import ClusterError
from wtsctl.plan.prune import model_of, objection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Kind
    from wtsctl.plan.membership import Home

_NOT_FOUND = 404
# What runs pods goes first: the rest, such as its network policies, is about these pods.
_WITH_PODS = frozenset(
    ("CronJob", "DaemonSet", "Deployment", "InferenceService", "Job", "LeaderWorkerSet", "LlamaStackDistribution")
) | {"StatefulSet"}
_OUTCOMES = {
    Fate.DELETED: Outcome.PRUNED,
    Fate.KEPT: Outcome.UNCHANGED,
    Fate.FAILED: Outcome.FAILED,
    Fate.PENDING: Outcome.NOT_APPLIED,
}


@dataclass(frozen=True, slots=True)
class Pruned:
    """One object that the catalog no longer wants.

    Attributes:
        target: which.
        model: the model that it belonged to, if any.
        outcome: what became of it.
        note: what else is to be said about it.
    """

    target: Target
    model: str | None
    outcome: Outcome
    note: str = ""

    @property
    def identity(self) -> str:
        """How messages name it."""
        return self.target.identity


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a prune came to.

    Attributes:
        objects: one entry an object, in the order given.
        slow: identities of what was deleted, and is still there.
        error: why the rest could not go on, where it was not an object's own failure.
        interrupted: Ctrl-C came.
    """

    objects: tuple[Pruned, ...] = ()
    slow: tuple[str, ...] = ()
    error: ClusterError | None = None
    interrupted: bool = False

    @property
    def gone(self) -> frozenset[str]:
        """The uids of what is known to be gone."""
        done = (one.target for one in self.objects if one.outcome is Outcome.PRUNED)
        return frozenset(one.uid for one in done if one.identity not in self.slow)

    @property
    def spared(self) -> tuple[Pruned, ...]:
        """What was to go, and stays because it is another one's or wanted by now."""
        return tuple(one for one in self.objects if one.outcome is Outcome.UNCHANGED)

    @classmethod
    def foreseen(cls, removed: Sequence[tuple[Kind, Object]], *, refused: bool) -> PruneResult:
        """What would come of a prune; with `refused` what has come of one that was not begun."""
        outcome = Outcome.NOT_APPLIED if refused else Outcome.PRUNED
        return cls(tuple(Pruned(target(kind, item), model_of(item), outcome) for kind, item in removed))


def prune(
    client: Client,
    removed: Sequence[tuple[Kind, Object]],
    home: Home,
    labels: str,
    *,
    timeout: float,
    check: Callable[[], None],
    told: Callable[[Pruned], None],
    note: Callable[[str], None],
) -> PruneResult:
    """Delete objects with all that they own, what runs pods first, and wait until they are gone.

    Each is looked at once more right before, and deleted only as it is then: what someone wants to keep by now, what
    has become another's, and what was made anew or deployed again is left alone.

    Args:
        client: the cluster.
        removed: from `applyset.leftovers`.
        home: the catalog's set.
        labels: the selector of our own objects.
        timeout: seconds to wait at most.
        check: called before each round; a ClusterError from it means that nothing may be written any more.
        told: hears of each object, from any thread, once its deletion was asked for.
        note: hears every few seconds what is still there.
    """
    models = {item["metadata"]["uid"]: model_of(item) for _, item in removed}
    before = {item["metadata"]["uid"]: item for _, item in removed}
    done: dict[str, Target] = {}
    slow: list[str] = []
    error: ClusterError | None = None
    interrupted = False

    def one(found: Target) -> None:
        done[found.uid] = found
        told(_pruned(found, models))

    def look(found: Target) -> Target:
        now = _now(client, found)
        if now is None:
            return replace(found, fate=Fate.DELETED)
        against = objection(before[found.uid], now, home, objects.FIELD_MANAGER)
        if against:
            return replace(found, fate=Fate.KEPT, note=against)
        return replace(found, version=now["metadata"]["resourceVersion"])

    targets = [target(kind, item) for kind, item in removed]
    try:
        for first in (True, False):
            batch = [found for found in targets if (found.kind.kind in _WITH_PODS) is first]
            if not batch or slow:
                continue
            check()
            remove(client, batch, one, look)
            asked = [done[found.uid] for found in batch if done[found.uid].fate is Fate.DELETED]
            # Without instances no pods of their own are waited for: each owner goes after its pods.
            slow = wait_gone(client, asked, labels, instances=(), timeout=timeout, note=note)
    except KeyboardInterrupt:
        interrupted = True
    except ClusterError as broke:
        error = broke
    ended = [done.get(found.uid) or replace(found, fate=Fate.PENDING) for found in targets]
    return PruneResult(tuple(_pruned(found, models) for found in ended), tuple(slow), error, interrupted)


def _now(client: Client, found: Target) -> Object | None:
    """An object as it is; None where it is gone."""
    if found.namespace and found.kind.kind not in BY_NAME:
        # By a list, to which those have the right who found it by one.
        items, _ = objects.list_all(client, found.kind, found.namespace, fields=f"metadata.name={found.name}")
        return items[0] if items else None
    try:
        return objects.get(client, found.kind, found.namespace, found.name)
    except ApiRefused as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _pruned(found: Target, models: dict[str, str | None]) -> Pruned:
    return Pruned(found, models[found.uid], _OUTCOMES[found.fate], found.note)
