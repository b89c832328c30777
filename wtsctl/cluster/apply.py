"""Applying manifests: stage after stage, the objects of a stage at once, each outcome as data."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.prepare import Options, Prepared, key_wanted
from wtsctl.errors import ClusterError, ClusterUnauthorized, Problem
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.cluster.client import Client, Object

_FORBIDDEN = 403


class Outcome(StrEnum):
    """What became of one object."""

    CREATED = "created"
    CONFIGURED = "configured"
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

    @property
    def complete(self) -> bool:
        """Whether every object is in the cluster as it should be."""
        done = {Outcome.CREATED, Outcome.CONFIGURED, Outcome.UNCHANGED}
        return all(one.outcome in done for one in self.objects)


def apply_all(client: Client, prepared: Prepared, options: Options, note: Callable[[Applied], None]) -> ApplyResult:
    """Apply every manifest, each stage after the one before it is done; a stage with a failure is the last.

    `note` hears of each object as it is done, in the calling thread.
    """
    done: dict[str, Applied] = {}
    error: ClusterError | None = None
    interrupted = False
    for _, group in groupby(prepared.manifests, key=lambda one: one.stage):
        stage = list(group)
        with ThreadPoolExecutor(options.parallel) as pool:
            futures = {pool.submit(_apply_one, client, prepared, options, one): one for one in stage}
            try:
                error = _collect(futures, done, note)
            except KeyboardInterrupt:
                interrupted = True
                # Requests that are under way are finished, so that what is said about them is true.
                pool.shutdown(wait=True, cancel_futures=True)
                _collect({one: of for one, of in futures.items() if not one.cancelled()}, done, lambda _: None)
        if error or interrupted or any(done[_id(one)].outcome is Outcome.FAILED for one in stage):
            break
    return ApplyResult(
        tuple(done.get(_id(one)) or Applied(one, Outcome.NOT_APPLIED) for one in prepared.manifests), error, interrupted
    )


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


def _apply_one(client: Client, prepared: Prepared, options: Options, manifest: Manifest) -> Applied:
    if key_wanted(manifest) in prepared.foreign:
        # Ours would be the label by which `delete` later takes it for its own, with all that others put there.
        return Applied(manifest, Outcome.UNCHANGED, note="it was there before and is left as it is")
    if options.dry_run and manifest.namespace in prepared.missing:
        return Applied(manifest, Outcome.CREATED, note="not checked: its namespace does not exist yet")
    kind = prepared.kinds[manifest.api_version, manifest.kind]
    try:
        created, item = objects.apply(client, kind, manifest.doc, force=options.force, dry_run=options.dry_run)
    except ApiRefused as error:
        if error.status == _FORBIDDEN and _as_wanted(client, kind, manifest):
            text = "it is as it should be, and we may not change it"
            return Applied(manifest, Outcome.UNCHANGED, note=text)
        return Applied(manifest, Outcome.FAILED, error.problem)
    if created:
        return Applied(manifest, Outcome.CREATED)
    before = prepared.before.get(key_wanted(manifest))
    same = before is not None and _without_state(before) == _without_state(item)
    return Applied(manifest, Outcome.UNCHANGED if same else Outcome.CONFIGURED)


def _as_wanted(client: Client, kind: Kind, manifest: Manifest) -> bool:
    """Whether the object already has everything that the manifest says; no, where that cannot be known."""
    try:
        return _holds(objects.get(client, kind, manifest.namespace or "", manifest.name), manifest.doc)
    except ApiRefused:
        return False


def _holds(there: Any, wanted: Any) -> bool:
    """Whether a value has every part of another; lists have to agree in their length.

    The API server leaves out what is false, zero or empty.
    """
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_holds(there.get(key), value) for key, value in wanted.items())
    if not wanted:
        return not there
    if isinstance(wanted, list):
        same = isinstance(there, list) and len(there) == len(wanted)
        return same and all(_holds(one, other) for one, other in zip(there, wanted, strict=True))
    return bool(there == wanted)


def _without_state(item: Object) -> dict[str, Any]:
    """What an apply can change: not the status, nor what the API server counts along."""
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in {"managedFields", "resourceVersion"}
    }
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _id(manifest: Manifest) -> str:
    return f"{manifest.api_version} {manifest.identity}"
