"""Deleting what a catalog no longer wants, once what it wants was applied; each outcome as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wtsctl.cluster.apply import Outcome
from wtsctl.cluster.remove import Fate, Target, remove, target, wait_gone
from wtsctl.errors import ClusterError
from wtsctl.plan.prune import model_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Kind

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

    @classmethod
    def foreseen(cls, removed: Sequence[tuple[Kind, Object]], *, refused: bool) -> PruneResult:
        """What would come of a prune; with `refused` what has come of one that was not begun."""
        outcome = Outcome.NOT_APPLIED if refused else Outcome.PRUNED
        return cls(tuple(Pruned(target(kind, item), model_of(item), outcome) for kind, item in removed))


def prune(
    client: Client,
    removed: Sequence[tuple[Kind, Object]],
    labels: str,
    *,
    timeout: float,
    told: Callable[[Pruned], None],
    note: Callable[[str], None],
) -> PruneResult:
    """Delete objects with all that they own, what runs pods first, and wait until they are gone.

    An object of which there is another one by now is left alone.

    Args:
        client: the cluster.
        removed: from `applyset.leftovers`.
        labels: the selector of our own objects.
        timeout: seconds to wait at most.
        told: hears of each object, from any thread, once its deletion was asked for.
        note: hears every few seconds what is still there.
    """
    models = {item["metadata"]["uid"]: model_of(item) for _, item in removed}
    done: dict[str, Target] = {}
    slow: list[str] = []
    error: ClusterError | None = None
    interrupted = False

    def one(found: Target) -> None:
        done[found.uid] = found
        told(_pruned(found, models))

    targets = [target(kind, item) for kind, item in removed]
    try:
        for first in (True, False):
            batch = [found for found in targets if (found.kind.kind in _WITH_PODS) is first]
            if not batch or slow:
                continue
            remove(client, batch, one)
            asked = [done[found.uid] for found in batch if done[found.uid].fate is Fate.DELETED]
            # Without instances no pods of their own are waited for: each owner goes after its pods.
            slow = wait_gone(client, asked, labels, instances=(), timeout=timeout, note=note)
    except KeyboardInterrupt:
        interrupted = True
    except ClusterError as broke:
        error = broke
    ended = [done.get(found.uid) or replace(found, fate=Fate.PENDING) for found in targets]
    return PruneResult(tuple(_pruned(found, models) for found in ended), tuple(slow), error, interrupted)


def _pruned(found: Target, models: dict[str, str | None]) -> Pruned:
    return Pruned(found, models[found.uid], _OUTCOMES[found.fate], found.note)
