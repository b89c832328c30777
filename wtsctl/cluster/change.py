"""Applying one object, or making it again: what became of it, also where no answer came."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.dryrun import Compared, as_ours, as_wanted, explained
from wtsctl.cluster.faults import ApiRefused, NeverSent
from wtsctl.errors import ClusterError, ClusterUnauthorized, Problem
from wtsctl.plan import ownership
from wtsctl.plan.changes import Action, comparable
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Kind

_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
# How long an object that is made again may take to go, with its pods.
_GONE_SECONDS = 300.0
_LOOK_SECONDS = 0.25
# How often an object is read again that someone else writes to at the same time.
_RACES = 5


class Outcome(StrEnum):
    """What became of one object."""

    CREATED = "created"
    CONFIGURED = "configured"
    RECREATED = "recreated"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    FAILED = "failed"
    NOT_APPLIED = "not-applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Applied:
    """One object after the apply.

    Attributes:
        manifest: what was wanted.
        outcome: what became of it.
        problem: why it failed.
        note: what else is to be said about it; empty where nothing is.
    """

    manifest: Manifest
    outcome: Outcome
    problem: Problem | None = None
    note: str = ""


def change(client: Client, kind: Kind, step: Compared) -> tuple[Applied, ClusterError | None]:
    """Do what was planned for one object.

    Args:
        client: the cluster.
        kind: of the object.
        step: from `dryrun.compare`.

    Returns:
        What became of it, and why no other object can be applied either, where that is so.
    """
    manifest = step.manifest
    if step.action is Action.RECREATE and step.live is not None:
        return _made_again(client, kind, step, step.live)
    try:
        if step.live is not None:
            _handed_over(client, kind, step, step.live)
        _, item = objects.apply(client, kind, manifest.doc, force=step.force)
    except ApiRefused as error:
        if error.status == _FORBIDDEN and as_wanted(client, kind, manifest):
            text = "it is as it should be, and we may not change it"
            return Applied(manifest, Outcome.UNCHANGED, note=text), None
        return _refused(step, error), None
    except ClusterError as error:
        return _unanswered(step, error), error
    if step.action is Action.CREATE:
        # Also where the answer says that it was there: an earlier try of the same request had made it.
        return Applied(manifest, Outcome.CREATED, note=step.note), None
    same = step.live is not None and comparable(step.live) == comparable(item)
    return Applied(manifest, Outcome.UNCHANGED if same else Outcome.CONFIGURED, note=said(step)), None


def said(step: Compared) -> str:
    """What is to be said about an object besides its outcome."""
    taken = f"taken over: {', '.join(step.taken)}" if step.taken else ""
    return "; ".join(part for part in (step.note, taken) if part)


def _refused(step: Compared, error: ApiRefused) -> Applied:
    if error.doubt:
        return Applied(step.manifest, Outcome.UNKNOWN, error.problem, "the API server failed over it")
    return Applied(step.manifest, Outcome.FAILED, explained(error, step.manifest))


def _unanswered(step: Compared, error: ClusterError) -> Applied:
    if isinstance(error, (ClusterUnauthorized, NeverSent)):
        # An answer, which says that nothing was done; or nobody who could have done it.
        return Applied(step.manifest, Outcome.NOT_APPLIED)
    return Applied(step.manifest, Outcome.UNKNOWN, note="no answer came: it may or may not have been applied")


def _made_again(client: Client, kind: Kind, step: Compared, live: Object) -> tuple[Applied, ClusterError | None]:
    """Delete an object with its pods, wait until it is gone, and make it again."""
    manifest, deleted = step.manifest, False
    try:
        _delete(client, kind, step, live)
        deleted = True
        if not _gone(client, kind, step, live):
            return _deleted(step, "interrupted after it was deleted to be made again"), None
        objects.apply(client, kind, manifest.doc, force=step.force)
    except ApiRefused as error:
        if deleted and not error.doubt:
            return _deleted(step, f"it was deleted, and could not be made again: {error.problem.message}"), None
        return _refused(step, error), None
    except ClusterError as error:
        if deleted and isinstance(error, (ClusterUnauthorized, NeverSent)):
            return _deleted(step, "it was deleted to be made again, and was not made again"), error
        applied = _unanswered(step, error)
        if applied.outcome is Outcome.UNKNOWN:
            text = "was deleted, and may or may not have been made again" if deleted else "may or may not be deleted"
            applied = Applied(manifest, Outcome.UNKNOWN, note=f"no answer came: it {text}")
        return applied, error
    return Applied(manifest, Outcome.RECREATED, note=step.note), None


def _deleted(step: Compared, text: str) -> Applied:
    problem = Problem("deploy.deleted", text, step.manifest.identity, "deploy again: that makes it")
    return Applied(step.manifest, Outcome.FAILED, problem, "deleted")


def _delete(client: Client, kind: Kind, step: Compared, live: Object) -> None:
    manifest = step.manifest
    try:
        objects.delete(client, kind, manifest.namespace or "", manifest.name, uid=live["metadata"]["uid"])
    except ApiRefused as error:
        # Gone already; or another one of this name is there, which is looked at next.
        if error.status not in {_NOT_FOUND, _CONFLICT}:
            raise


def _gone(client: Client, kind: Kind, step: Compared, live: Object) -> bool:
    """Wait until an object is gone; no, where there is no time for that any more.

    Raises:
        ApiRefused: it is still there after five minutes.
    """
    manifest, uid = step.manifest, live["metadata"]["uid"]
    deadline = time.monotonic() + _GONE_SECONDS
    try:
        while objects.get(client, kind, manifest.namespace or "", manifest.name)["metadata"]["uid"] == uid:
            if client.hurried:
                return False
            if time.monotonic() > deadline:
                raise _stays(manifest)
            client.pause(_LOOK_SECONDS)
    except ApiRefused as error:
        if error.status != _NOT_FOUND:
            raise
    return True


def _stays(manifest: Manifest) -> ApiRefused:
    text = f"it is still there after {_GONE_SECONDS:g} s: a finalizer or a pod that does not stop holds it"
    return ApiRefused(_CONFLICT, "Conflict", text, where=manifest.identity)


def _handed_over(client: Client, kind: Kind, step: Compared, live: Object) -> None:
    """Before an apply: take fields over from `kubectl apply`, and leave `replicas` to an autoscaler.

    Raises:
        ApiRefused: the API server refuses that.
    """
    manifest = step.manifest
    namespace = manifest.namespace or ""
    ours = as_ours(live, manifest)
    if ours is not live:
        ours = _migrated(client, kind, manifest)
    kept = ownership.replicas_to_keep(ours, manifest.doc, objects.FIELD_MANAGER)
    if kept is None:
        return
    holder = {
        "apiVersion": manifest.api_version,
        "kind": manifest.kind,
        "metadata": {"name": manifest.name, "namespace": namespace},
        "spec": {"replicas": kept},
    }
    try:
        objects.apply(client, kind, holder, manager=ownership.REPLICAS_MANAGER)
    except ApiRefused as error:
        # The autoscaler has changed it meanwhile, and so owns it.
        if error.status != _CONFLICT:
            raise


def _migrated(client: Client, kind: Kind, manifest: Manifest) -> Object:
    """The object, what `kubectl apply` set recorded as ours.

    Raises:
        ApiRefused: the API server refuses that.
    """
    namespace = manifest.namespace or ""
    for left in reversed(range(_RACES)):
        # As it is now: a controller may have written its status since, or an earlier try may have done it.
        live = objects.get(client, kind, namespace, manifest.name)
        ours = as_ours(live, manifest)
        if ours is live:
            break
        metadata = ours["metadata"]
        try:
            client.exchange(
                "PATCH",
                kind.path(namespace, manifest.name),
                body={"metadata": {key: metadata[key] for key in ("managedFields", "resourceVersion")}},
                content_type="application/merge-patch+json",
                query={"fieldManager": objects.FIELD_MANAGER},
                where=manifest.identity,
                repeatable=True,
            )
            break
        except ApiRefused as error:
            if error.status != _CONFLICT or not left:
                raise
    return ours
