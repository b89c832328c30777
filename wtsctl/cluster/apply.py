"""Applying manifests: stage after stage, the objects of a stage at once, each outcome as data."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import NAMESPACE, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.errors import ClusterError, ClusterRefused, ClusterUnauthorized, Problem
from wtsctl.health.namespace import namespace as namespace_health
from wtsctl.health.state import State
from wtsctl.render.job import Stage
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery

MANAGED_BY = "app.kubernetes.io/managed-by"
_PART_OF = "app.kubernetes.io/part-of"
# What others put something into, so that taking one over would mean deleting theirs one day.
_HOLDERS = frozenset({"Namespace", "PersistentVolumeClaim"})
_FORBIDDEN, _NOT_FOUND = 403, 404


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


@dataclass(frozen=True, slots=True)
class Options:
    """How to apply.

    Attributes:
        parallel: how many objects of a stage at once.
        force: take fields over from other field managers.
        dry_run: the API server checks and answers, and changes nothing.
    """

    parallel: int = 8
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Manifests that the cluster can take, as far as can be known before applying.

    Attributes:
        manifests: in the order of the deploy.
        kinds: by apiVersion and kind.
        before: the objects as they are, by kind, namespace and name.
        foreign: of `before`, namespaces and claims that are not ours: they are used and left as they are.
        missing: namespaces that do not exist yet.
    """

    manifests: tuple[Manifest, ...]
    kinds: Mapping[tuple[str, str], Kind]
    before: Mapping[tuple[str, str, str], Object] = field(default_factory=dict)
    foreign: frozenset[tuple[str, str, str]] = frozenset()
    missing: frozenset[str] = frozenset()


def prepare(
    client: Client, discovery: Discovery, manifests: Sequence[Manifest], labels: str, options: Options
) -> Prepared:
    """Look before anything is changed: kinds, namespaces, and what is there already, by one list a kind.

    Args:
        client: the cluster.
        discovery: its kinds.
        manifests: what is to be applied.
        labels: the selector of our own objects.
        options: how to apply.

    Raises:
        ClusterRefused: kinds are missing, a namespace is being deleted, or objects are another catalog's and
            `options.force` is not set; `problems` has all of them.
        ClusterError: the cluster cannot be spoken to.
    """
    kinds: dict[tuple[str, str], Kind] = {}
    problems: dict[tuple[str, str], Problem] = {}
    for manifest in manifests:
        wanted = (manifest.api_version, manifest.kind)
        if wanted in kinds or wanted in problems:
            continue
        try:
            kinds[wanted] = discovery.kind(*wanted)
        except ApiRefused as error:
            users = [one.model or one.identity for one in manifests if (one.api_version, one.kind) == wanted]
            problem = error.problem
            problems[wanted] = Problem(problem.code, problem.message, "needed by " + ", ".join(users), problem.hint)
    if problems:
        raise _refused(list(problems.values()))
    namespaces = sorted({one.name for one in manifests if one.stage is Stage.NAMESPACE})
    looked = dict(zip(namespaces, each(lambda name: _look(client, name), namespaces, options.parallel), strict=True))
    dying = [_dying(name, item) for name, item in looked.items() if item is not None]
    if any(dying):
        raise _refused([problem for problem in dying if problem])
    missing = frozenset(name for name, item in looked.items() if item is None)
    lists = sorted(
        {
            (kinds[one.api_version, one.kind], one.namespace)
            for one in manifests
            if one.namespace is not None and one.namespace not in missing
        }
    )
    found = each(lambda where: _there(client, *where), lists, options.parallel)
    before = {_key(item): item for items in found for item in items}
    before |= {("Namespace", "", name): item for name, item in looked.items() if item}
    others = {key: item for key, item in before.items() if not objects.carries(item, labels)}
    foreign = frozenset(key for key in others if key[0] in _HOLDERS)
    taken = [_another(one, others[_wanted(one)]) for one in manifests if _wanted(one) in others.keys() - foreign]
    if taken and not options.force:
        raise _refused(taken)
    return Prepared(tuple(manifests), kinds, before, foreign, missing)


def _there(client: Client, kind: Kind, namespace: str) -> list[Object]:
    """What any catalog of wtsctl's made, and of the kinds that are left alone all there is."""
    labels = "" if kind.kind in _HOLDERS else f"{MANAGED_BY}={objects.FIELD_MANAGER}"
    return objects.list_all(client, kind, namespace, labels=labels)[0]


def _another(manifest: Manifest, item: Object) -> Problem:
    owner = (item["metadata"].get("labels") or {}).get(_PART_OF, "")
    hint = "use another name or namespace; if the catalog was renamed, --force-conflicts takes its objects over"
    return Problem(ClusterRefused.code, f"it belongs to the catalog '{owner}'", manifest.identity, hint)


def _refused(problems: list[Problem]) -> ClusterRefused:
    error = ClusterRefused(problems[0].message)
    error.problems = tuple(problems)
    return error


def _look(client: Client, name: str) -> Object | None:
    """A namespace, or None where there is none.

    Who may not look at namespaces has been given one to work in: it is taken to exist, made by someone else.
    """
    try:
        return objects.get(client, NAMESPACE, "", name)
    except ApiRefused as error:
        if error.status == _NOT_FOUND:
            return None
        if error.status == _FORBIDDEN:
            return {"kind": "Namespace", "metadata": {"name": name}}
        raise


def _dying(name: str, item: Object) -> Problem | None:
    health = namespace_health(item)
    if health.state is not State.TERMINATING:
        return None
    text = "the namespace is being deleted" + (f": {health.message}" if health.message else "")
    hint = "wait until it is gone, then deploy again"
    return Problem(ClusterRefused.code, text, f"Namespace/{name}", hint)


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
    if _wanted(manifest) in prepared.foreign:
        # Ours would be the label by which `delete` later takes it for its own, with all that others put there.
        return Applied(manifest, Outcome.UNCHANGED, note="it was there before and is left as it is")
    if options.dry_run and manifest.namespace in prepared.missing:
        return Applied(manifest, Outcome.CREATED, note="not checked: its namespace does not exist yet")
    kind = prepared.kinds[manifest.api_version, manifest.kind]
    try:
        created, item = objects.apply(client, kind, manifest.doc, force=options.force, dry_run=options.dry_run)
    except ApiRefused as error:
        return Applied(manifest, Outcome.FAILED, error.problem)
    if created:
        return Applied(manifest, Outcome.CREATED)
    before = prepared.before.get(_wanted(manifest))
    same = before is not None and _without_state(before) == _without_state(item)
    return Applied(manifest, Outcome.UNCHANGED if same else Outcome.CONFIGURED)


def _without_state(item: Object) -> dict[str, Any]:
    """What an apply can change: not the status, nor what the API server counts along."""
    metadata = {
        key: value for key, value in item["metadata"].items() if key not in {"managedFields", "resourceVersion"}
    }
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def _key(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _wanted(manifest: Manifest) -> tuple[str, str, str]:
    return manifest.kind, manifest.namespace or "", manifest.name


def _id(manifest: Manifest) -> str:
    return f"{manifest.api_version} {manifest.identity}"
