"""Taking away what was deployed: only what carries our labels, and no namespace that holds anything else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import NAMESPACE, POD, SECRET, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.cluster.watch import Follower, Selection
from wtsctl.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery

_INSTANCE = "app.kubernetes.io/instance"
_COMPONENT = "app.kubernetes.io/component"
# The rights that we may be working with, and what a whole cluster uses: whoever may not delete them is not meant to.
_KEPT_IF_FORBIDDEN = frozenset({"access", "priority"})
_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
# A status changes a few times while a workload stops; more often than that nothing does between a look and a delete.
_LOOKS = 10
_SAY_SECONDS = 3.0
# Every namespace has these, put there by Kubernetes or OpenShift themselves.
_GIVEN = frozenset(
    {
        ("ConfigMap", "kube-root-ca.crt"),
        ("ConfigMap", "openshift-service-ca.crt"),
        ("ServiceAccount", "default"),
        ("ServiceAccount", "builder"),
        ("ServiceAccount", "deployer"),
        ("RoleBinding", "system:image-pullers"),
        ("RoleBinding", "system:image-builders"),
        ("RoleBinding", "system:deployers"),
    }
)
_DERIVED = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics", "ControllerRevision"})


class Fate(StrEnum):
    """What becomes of one object."""

    DELETED = "deleted"
    KEPT = "kept"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Target:
    """One object of ours that is there.

    Attributes:
        kind: its kind.
        namespace: its namespace; empty for a namespace itself.
        name: its name.
        uid: of this very object, so that one made anew meanwhile is left alone.
        component: what it belongs to, by its label.
        version: its resourceVersion, where it is to be deleted only as it was looked at; else empty.
        fate: what becomes of it; `pending` until that is known.
        note: why, where it is kept or failed.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    component: str = ""
    version: str = ""
    fate: Fate = Fate.PENDING
    note: str = ""

    @property
    def identity(self) -> str:
        """How messages name it."""
        return objects.label(self.kind.kind, self.namespace, self.name)


def targets(found: Iterable[tuple[Kind, Object]], instances: Collection[str] | None) -> list[Target]:
    """What of the objects that are ours is to be deleted: not what a controller made, which goes with its owner.

    Args:
        found: from `found.ours`.
        instances: only objects of these instances; None: all.
    """
    chosen = [
        target(kind, item)
        for kind, item in found
        if not item["metadata"].get("ownerReferences") and _of(item, instances)
    ]
    # One object can be served by several kinds of path, such as an Ingress in two API groups.
    return list({target.uid: target for target in chosen}.values())


def namespaces(client: Client, names: Iterable[str], labels: str) -> list[Target]:
    """Those of the namespaces that wtsctl made."""
    found = []
    for name in dict.fromkeys(names):
        try:
            item = objects.get(client, NAMESPACE, "", name)
        except ApiRefused as error:
            # Who may not look at namespaces has been given one: it is not ours.
            if error.status in {_NOT_FOUND, _FORBIDDEN}:
                continue
            raise
        if objects.carries(item, labels):
            found.append(target(NAMESPACE, item))
    return found


def target(kind: Kind, item: Object) -> Target:
    """An object as one to be deleted."""
    metadata = item["metadata"]
    component = (metadata.get("labels") or {}).get(_COMPONENT, "")
    return Target(kind, metadata.get("namespace", ""), metadata["name"], metadata["uid"], component)


def foreign(client: Client, discovery: Discovery, namespace: str, ours: Collection[str]) -> list[str]:
    """What lies in a namespace besides `ours` (identities) and what every namespace has.

    Raises:
        ApiRefused: a kind may not be listed, so it cannot be known.
    """
    kinds = [kind for kind in discovery.namespaced() if kind.kind not in _DERIVED]
    held = [
        objects.label(item["kind"], namespace, item["metadata"]["name"])
        for items in each(lambda kind: objects.list_all(client, kind, namespace)[0], kinds)
        for item in items
        if not item["metadata"].get("ownerReferences")
        and not item["metadata"].get("deletionTimestamp")
        and (item["kind"], item["metadata"]["name"]) not in _GIVEN
    ]
    return sorted(one for one in dict.fromkeys(held) if one not in ours)


def remove(
    client: Client,
    targets: Sequence[Target],
    told: Callable[[Target], None],
    look: Callable[[Target], Target] = lambda one: one,
) -> None:
    """Ask for the deletion of every target at once; `told` hears of each, from any thread, what became of it.

    An object that is already gone counts as deleted. On Ctrl-C requests that are under way are still finished.

    Args:
        client: the cluster.
        targets: what is to go.
        told: hears of each.
        look: looks at a target right before it is deleted, and gives it the version that it has then, or a fate. It is
            called again where that version is another one by now.
    """
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda target: told(_removed(client, target, look)), targets):
            pass


def _removed(client: Client, target: Target, look: Callable[[Target], Target]) -> Target:
    """One target with what became of it."""
    try:
        for _ in range(_LOOKS):
            target = look(target)
            done = _asked(client, target) if target.fate is Fate.PENDING else target
            if done is not None:
                return done
    except ClusterError as error:
        return replace(target, fate=Fate.FAILED, note=error.problems[0].message)
    return replace(target, fate=Fate.FAILED, note="it is being changed all the time; try again")


def _asked(client: Client, target: Target) -> Target | None:
    """One target whose deletion was asked for; None where it is not any more as it was looked at."""
    try:
        objects.delete(client, target.kind, target.namespace, target.name, uid=target.uid, version=target.version)
    except ApiRefused as error:
        if error.status == _CONFLICT:
            text = "another one of this name was made meanwhile"
            return None if target.version else replace(target, fate=Fate.KEPT, note=text)
        if error.status == _FORBIDDEN and target.component in _KEPT_IF_FORBIDDEN:
            return replace(target, fate=Fate.KEPT, note="we may not delete it; who deployed it first can")
        if error.status != _NOT_FOUND:
            raise
    return replace(target, fate=Fate.DELETED)


def wait_gone(
    client: Client,
    targets: Sequence[Target],
    labels: str,
    *,
    instances: Collection[str] | None,
    timeout: float,
    note: Callable[[str], None],
) -> list[str]:
    """Wait until the targets and the pods they ran are gone; returns the identities that are still there.

    One watch for each kind and namespace. `note` hears every few seconds what is left.

    Raises:
        ClusterError: it cannot be known what is left.
    """
    # What lies in no namespace and Secrets have nothing that holds them, and not everyone may watch them.
    slow = [one for one in targets if one.kind is NAMESPACE or (one.namespace and one.kind != SECRET)]
    if not slow:
        return []
    uids = {target.uid for target in slow}
    spaces = {(target.kind, target.namespace) for target in slow}
    watched = [Selection(kind, namespace, labels, optional=True) for kind, namespace in spaces]
    watched += [Selection(POD, namespace, labels) for namespace in {one for _, one in spaces if one}]
    deadline = time.monotonic() + timeout
    left = [target.identity for target in slow]
    say_at = time.monotonic() + _SAY_SECONDS
    with Follower(client, watched) as follower:
        while True:
            seen = follower.objects()
            if seen is not None:
                left = sorted(
                    objects.label(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
                    for item in seen
                    if item["metadata"]["uid"] in uids or (item["kind"] == POD.kind and _of(item, instances))
                )
            now = time.monotonic()
            if now >= deadline and follower.trouble:
                raise follower.trouble
            if not left or now >= deadline:
                return left
            if now >= say_at:
                note(f"waiting for {len(left)} to go: {', '.join(left[:3])}{', ...' * (len(left) > 3)}")  # noqa: PLR2004
                say_at = now + _SAY_SECONDS
            follower.wait(min(1.0, deadline - now))


def _of(item: Object, instances: Collection[str] | None) -> bool:
    return instances is None or (item["metadata"].get("labels") or {}).get(_INSTANCE) in instances
