"""Applying manifests: stage after stage, the objects of a stage at once, each outcome as data."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Self

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import Kind
from wtsctl.cluster.dryrun import Compared, as_ours, as_wanted, explained
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.prepare import Options, Prepared, defined, key_wanted
from wtsctl.errors import ClusterError, ClusterUnauthorized, Problem
from wtsctl.plan import ownership
from wtsctl.plan.changes import Action, comparable
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wtsctl.cluster.client import Client, Object

_FORBIDDEN, _NOT_FOUND, _CONFLICT = 403, 404, 409
# How long an object that is made again may take to go, with its pods, and a new kind to be served.
_GONE_SECONDS, _SERVED_SECONDS = 300.0, 30.0
_LOOK_SECONDS = 0.25


class Outcome(StrEnum):
    """What became of one object."""

    CREATED = "created"
    CONFIGURED = "configured"
    RECREATED = "recreated"
    UNCHANGED = "unchanged"
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


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an apply came to; every manifest has exactly one entry, in the order given.

    Attributes:
        objects: one entry a manifest.
        error: why the rest could not go on, where it was not an object's own failure: the connection broke.
        interrupted: Ctrl-C came; what was in flight was still finished.
    """

    objects: tuple[Applied, ...]
    error: ClusterError | None = None
    interrupted: bool = False

    @classmethod
    def foreseen(cls, compared: Iterable[Compared], *, refused: bool) -> Self:
        """What would come of a plan; with `refused` what has come of one of which nothing was applied."""
        return cls(tuple(_foreseen(one, refused=refused) for one in compared))

    @property
    def complete(self) -> bool:
        """Whether every object is in the cluster as it should be."""
        done = {Outcome.CREATED, Outcome.CONFIGURED, Outcome.RECREATED, Outcome.UNCHANGED}
        return all(one.outcome in done for one in self.objects)


_OUTCOMES = {
    Action.CREATE: Outcome.CREATED,
    Action.CONFIGURE: Outcome.CONFIGURED,
    Action.RECREATE: Outcome.RECREATED,
    Action.UNCHANGED: Outcome.UNCHANGED,
}


def _foreseen(step: Compared, *, refused: bool) -> Applied:
    if step.problem:
        return Applied(step.manifest, Outcome.FAILED, step.problem)
    outcome = _OUTCOMES[step.action]
    if refused and outcome is not Outcome.UNCHANGED:
        outcome = Outcome.NOT_APPLIED
    return Applied(step.manifest, outcome, note=_said(step))


def apply_all(
    client: Client,
    prepared: Prepared,
    options: Options,
    note: Callable[[Applied], None],
    compared: Iterable[Compared] = (),
    *,
    before: Sequence[Callable[[], None]] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> ApplyResult:
    """Apply every manifest, each stage after the one before it is done; a stage with a failure is the last.

    Args:
        client: the cluster.
        prepared: from `prepare`.
        options: how to apply.
        note: hears of each object as it is done, in the calling thread.
        compared: from `compare`: what has to be done; a manifest that is not among it is applied.
        before: called in this order once the namespaces stand, before anything is put into them; a ClusterError
            from one ends the apply there.
        sleep: waits the given seconds; a test passes its own.
    """
    planned = {_id(one.manifest): one for one in compared}
    done: dict[str, Applied] = {}
    error: ClusterError | None = None
    interrupted = False
    due = list(before)
    for number, group in groupby(prepared.manifests, key=lambda one: one.stage):
        stage = list(group)
        try:
            while due and number is not Stage.NAMESPACE:
                due.pop(0)()
        except KeyboardInterrupt:
            interrupted = True
            break
        except ClusterError as broke:
            error = broke
            break
        steps = [planned.get(_id(one)) or _unplanned(prepared, one) for one in stage]
        for idle in [one for one in steps if not one.write]:
            done[_id(idle.manifest)] = Applied(idle.manifest, Outcome.UNCHANGED, note=idle.note)
            note(done[_id(idle.manifest)])
        with ThreadPoolExecutor(options.parallel) as pool:
            futures = {
                pool.submit(_apply_one, client, prepared, one, sleep): one.manifest for one in steps if one.write
            }
            try:
                error = _collect(futures, done, note)
                if error is None:
                    _served(client, prepared, stage, sleep)
            except KeyboardInterrupt:
                interrupted = True
                # Requests that are under way are finished, so that what is said about them is true.
                pool.shutdown(wait=True, cancel_futures=True)
                _collect({one: of for one, of in futures.items() if not one.cancelled()}, done, lambda _: None)
            except ClusterError as broke:
                error = broke
        if error or interrupted or any(done[_id(one)].outcome is Outcome.FAILED for one in stage):
            break
    return ApplyResult(
        tuple(done.get(_id(one)) or Applied(one, Outcome.NOT_APPLIED) for one in prepared.manifests), error, interrupted
    )


def _unplanned(prepared: Prepared, manifest: Manifest) -> Compared:
    """What is done with an object that nobody has compared: it is applied, unless it is others'."""
    live = prepared.live(manifest)
    if key_wanted(manifest) in prepared.foreign:
        # Ours would be the label by which `delete` later takes it for its own, with all that others put there.
        note = "it was there before and is left as it is"
        return Compared(manifest, Action.UNCHANGED, live, write=False, note=note)
    return Compared(manifest, Action.CREATE if live is None else Action.CONFIGURE, live)


def _served(client: Client, prepared: Prepared, stage: Sequence[Manifest], sleep: Callable[[float], None]) -> None:
    """Wait until the kinds are served that the CustomResourceDefinitions of a stage bring.

    Raises:
        ClusterRefused: one of them is not.
    """
    brought = [kind for one in stage for kind in defined(one.doc) if (kind.api_version, kind.kind) in prepared.coming]
    left = _SERVED_SECONDS
    for kind in brought:
        while True:
            try:
                client.request("GET", kind.path(), query={"limit": 1}, where=kind.plural)
                break
            except ApiRefused as error:
                if error.status != _NOT_FOUND or left <= 0:
                    raise
            sleep(_LOOK_SECONDS)
            left -= _LOOK_SECONDS


def _collect(
    futures: Mapping[Future[Applied], Manifest], done: dict[str, Applied], note: Callable[[Applied], None]
) -> ClusterError | None:
    error: ClusterError | None = None
    for future in as_completed(futures):
        try:
            applied = future.result()
        except ClusterError as broke:
            error = broke
            text = "no answer came: it may or may not have been applied"
            applied = Applied(futures[future], Outcome.UNKNOWN, note=text)
            if isinstance(broke, ClusterUnauthorized):
                # That is an answer, and it says that nothing was done.
                applied = Applied(futures[future], Outcome.NOT_APPLIED)
        if _id(applied.manifest) not in done:
            done[_id(applied.manifest)] = applied
            note(applied)
    return error


def _apply_one(client: Client, prepared: Prepared, step: Compared, sleep: Callable[[float], None]) -> Applied:
    manifest = step.manifest
    kind = prepared.kinds[manifest.api_version, manifest.kind]
    try:
        if step.action is Action.RECREATE and step.live is not None:
            _deleted(client, kind, manifest, step.live, sleep)
            objects.apply(client, kind, manifest.doc, force=step.force)
            return Applied(manifest, Outcome.RECREATED, note=step.note)
        if step.live is not None:
            _handed_over(client, kind, manifest, step.live)
        created, item = objects.apply(client, kind, manifest.doc, force=step.force)
    except ApiRefused as error:
        if error.status == _FORBIDDEN and as_wanted(client, kind, manifest):
            text = "it is as it should be, and we may not change it"
            return Applied(manifest, Outcome.UNCHANGED, note=text)
        return Applied(manifest, Outcome.FAILED, explained(error, manifest))
    if created:
        return Applied(manifest, Outcome.CREATED, note=step.note)
    same = step.live is not None and comparable(step.live) == comparable(item)
    return Applied(manifest, Outcome.UNCHANGED if same else Outcome.CONFIGURED, note=_said(step))


def _said(step: Compared) -> str:
    taken = f"taken over: {', '.join(step.taken)}" if step.taken else ""
    return "; ".join(part for part in (step.note, taken) if part)


def _deleted(client: Client, kind: Kind, manifest: Manifest, live: Object, sleep: Callable[[float], None]) -> None:
    """Delete an object with its pods, and wait until it is gone.

    Raises:
        ApiRefused: it may not be deleted, or is still there after five minutes.
    """
    namespace, uid = manifest.namespace or "", live["metadata"]["uid"]
    left = _GONE_SECONDS
    try:
        objects.delete(client, kind, namespace, manifest.name, uid=uid)
        while objects.get(client, kind, namespace, manifest.name)["metadata"]["uid"] == uid:
            if left <= 0:
                raise _stays(manifest)
            sleep(_LOOK_SECONDS)
            left -= _LOOK_SECONDS
    except ApiRefused as error:
        if error.status != _NOT_FOUND:
            raise


def _stays(manifest: Manifest) -> ApiRefused:
    text = f"it was deleted to be made again, and is still there after {_GONE_SECONDS:g} s"
    hint = "a finalizer or a pod that does not stop holds it; deploy again once it is gone"
    return ApiRefused(_CONFLICT, "Conflict", text, where=manifest.identity, hint=hint)


def _handed_over(client: Client, kind: Kind, manifest: Manifest, live: Object) -> None:
    """Before an apply: take fields over from `kubectl apply`, and leave `replicas` to an autoscaler.

    Raises:
        ApiRefused: the API server refuses that; or the object has changed since it was looked at.
    """
    namespace = manifest.namespace or ""
    ours = as_ours(live, manifest)
    if ours is not live:
        # As it is now: a controller may have written its status since.
        ours = as_ours(objects.get(client, kind, namespace, manifest.name), manifest)
        metadata = ours["metadata"]
        client.exchange(
            "PATCH",
            kind.path(namespace, manifest.name),
            body={"metadata": {key: metadata[key] for key in ("managedFields", "resourceVersion")}},
            content_type="application/merge-patch+json",
            query={"fieldManager": objects.FIELD_MANAGER},
            where=manifest.identity,
        )
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


def _id(manifest: Manifest) -> str:
    return f"{manifest.api_version} {manifest.identity}"
