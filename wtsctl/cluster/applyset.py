"""The set of a catalog's objects in the cluster: its parent read and written, and what is no longer wanted found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CONFIG_MAP, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.cluster.prepare import BY_NAME, key_wanted
from wtsctl.plan.membership import UNLABELLED, Home, Scope, is_current, parent, places, recorded
from wtsctl.plan.prune import Left, Standing, left, standing, unseen, untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.cluster.prepare import Key, Prepared
    from wtsctl.errors import Problem

_FORBIDDEN, _NOT_FOUND = 403, 404
_LABELS = "app.kubernetes.io/managed-by={},app.kubernetes.io/part-of={}"


@dataclass(frozen=True, slots=True)
class Record:
    """What the cluster says about where the members are.

    Attributes:
        home: whose.
        scope: where members are or may be.
        item: the parent as it is; None where there is none.
        problem: why it could not be read or written; without it nothing is known but what is seen anyway.
    """

    home: Home
    scope: Scope = field(default_factory=Scope)
    item: Object | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What of a catalog is there and no longer wanted.

    Attributes:
        removed: what may be deleted, each with its kind.
        left: what stays in any case.
        staying: where the latter is, so that it is found again.
    """

    removed: tuple[tuple[Kind, Object], ...] = ()
    left: tuple[Left, ...] = ()
    staying: Scope = field(default_factory=Scope)


def read(client: Client, home: Home) -> Record:
    """The record of a catalog's members.

    Raises:
        ClusterRefused: there is a parent of this name that is not ours, or cannot be read.
        ClusterError: the cluster cannot be spoken to.
    """
    try:
        item = objects.get(client, CONFIG_MAP, home.namespace, home.name)
    except ApiRefused as error:
        if error.status == _FORBIDDEN:
            return Record(home, problem=error.problem)
        if error.status == _NOT_FOUND:
            return Record(home)
        raise
    return Record(home, recorded(item, home), item)


def write(client: Client, record: Record, scope: Scope) -> Record:
    """Record where members are; sends nothing where that is what is recorded.

    What may not be written, or has no namespace to be in, is a problem of the record: objects carry their labels all
    the same.

    Raises:
        ClusterError: the cluster cannot be spoken to, or refuses it for another reason.
    """
    wanted = parent(record.home, scope)
    if record.problem or is_current(record.item, wanted):
        return record
    try:
        # By force: nobody else has anything to say in it.
        item = objects.apply(client, CONFIG_MAP, wanted, force=True)[1]
    except ApiRefused as error:
        if error.status not in {_FORBIDDEN, _NOT_FOUND}:
            raise
        return Record(record.home, record.scope, record.item, error.problem)
    return Record(record.home, scope, item)


def wanted_scope(prepared: Prepared) -> Scope:
    """Where the objects of the manifests are, without those that others made."""
    return places((one.doc for one in prepared.manifests if key_wanted(one) not in prepared.foreign), by_name=BY_NAME)


def leftovers(
    client: Client,
    discovery: Discovery,
    prepared: Prepared,
    record: Record,
    kept: Iterable[Key],
    *,
    left_alone: Collection[str] = (),
) -> Leftovers:
    """What the catalog no longer wants, found in what was listed anyway and in the rest of what is recorded.

    Args:
        client: the cluster.
        discovery: its kinds.
        prepared: from `prepare`, of all of the catalog's manifests.
        record: where there may be more.
        kept: what is wanted though no manifest says it: Secrets whose values are not here.
        left_alone: kinds of which nothing is removed this time.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    wanted = {_name_of(one.doc) for one in prepared.manifests}
    spared = {(kind, namespace, name) for kind, namespace, name in kept}
    more, blind, unknown = _further(client, discovery, prepared, record, spared)
    seen: dict[str, tuple[Kind, Object]] = {}
    for kind, item in (*_listed(prepared), *more):
        _, name, namespace, own = _name_of(item)
        if _name_of(item) not in wanted and (name, namespace, own) not in spared and item["metadata"].get("uid"):
            seen[item["metadata"]["uid"]] = kind, item
    removed: list[tuple[Kind, Object]] = []
    stays: list[Left] = list(blind)
    if record.problem:
        stays.append(
            unseen(objects.label("ConfigMap", record.home.namespace, record.home.name), record.problem.message)
        )
    held: list[Object] = []
    for kind, item in seen.values():
        if item["kind"] in UNLABELLED and not record.scope.names(item):
            # Of a catalog of the same name with another home, as far as anyone can tell.
            continue
        found = standing(item, record.home, objects.FIELD_MANAGER)
        if found is Standing.REMOVED and item["kind"] in left_alone:
            stays.append(untouched(item))
            held.append(item)
        elif found is Standing.REMOVED:
            removed.append((kind, item))
        elif found in {Standing.KEPT, Standing.NEVER}:
            stays.append(left(item, found))
        if found in {Standing.KEPT, Standing.NEVER, Standing.LEAVING}:
            held.append(item)
    removed.sort(key=lambda one: (one[0].kind, one[1]["metadata"].get("namespace", ""), one[1]["metadata"]["name"]))
    stays.sort(key=lambda one: one.identity)
    return Leftovers(tuple(removed), tuple(stays), places(held, by_name=BY_NAME) | unknown)


def _listed(prepared: Prepared) -> Iterator[tuple[Kind, Object]]:
    """What was read on the way to the plan; what no kind of the manifests is, is a namespace and wanted."""
    for item in prepared.before.values():
        kind = prepared.kinds.get((str(item.get("apiVersion")), item["kind"]))
        if kind is not None:
            yield kind, item


def _further(
    client: Client, discovery: Discovery, prepared: Prepared, record: Record, spared: set[Key]
) -> tuple[list[tuple[Kind, Object]], list[Left], Scope]:
    """What is recorded and was not read yet; then what may not be looked at, in words and to be recorded again."""
    covered = wanted_scope(prepared)
    lists = sorted(record.scope.lists - covered.lists)
    # What the lists have, and what is listed for the plan, needs no request of its own.
    lists_seen = record.scope.lists | covered.lists
    names = sorted(
        one for one in record.scope.named - covered.named if one[1:] not in spared and one[:3] not in lists_seen
    )
    labels = _LABELS.format(objects.FIELD_MANAGER, record.home.catalog)

    def listed(place: tuple[str, str, str]) -> _Look:
        kind = _served(discovery, *place[:2])
        # The records of earlier deploys are no members, and large.
        chosen = f"{labels},app.kubernetes.io/component!=history" if kind == CONFIG_MAP else labels
        return _looked(kind, lambda one: objects.list_all(client, one, place[2], labels=chosen)[0])

    def got(place: tuple[str, str, str, str]) -> _Look:
        kind = _served(discovery, *place[:2])
        return _looked(kind, lambda one: [objects.get(client, one, *place[2:])])

    by_list, by_name = each(listed, lists), each(got, names)
    blind = [(place, "*", one.why) for place, one in zip(lists, by_list, strict=True)]
    blind += [(place[:3], place[3], one.why) for place, one in zip(names, by_name, strict=True)]
    hidden = {place for place, one in zip(lists, by_list, strict=True) if one.why is not None}
    again = Scope(
        frozenset(hidden),
        frozenset(place for place, one in zip(names, by_name, strict=True) if one.why is not None)
        | frozenset(place for place in record.scope.named if place[1:] in spared or place[:3] in hidden),
    )
    said = [unseen(objects.label(kind, namespace, name), why) for (_, kind, namespace), name, why in blind if why]
    return [item for one in (*by_list, *by_name) for item in one.found], said, again


@dataclass(frozen=True, slots=True)
class _Look:
    """What one request found; `why` says why it could not look, and is empty where the kind is not served now."""

    found: tuple[tuple[Kind, Object], ...] = ()
    why: str | None = None


def _looked(kind: Kind | None, ask: Callable[[Kind], list[Object]]) -> _Look:
    if kind is None:
        return _Look(why="")
    try:
        return _Look(tuple((kind, item) for item in ask(kind)))
    except ApiRefused as error:
        if error.status == _NOT_FOUND:
            return _Look()
        if error.status == _FORBIDDEN:
            return _Look(why=error.problem.message)
        raise


def _served(discovery: Discovery, api_version: str, kind: str) -> Kind | None:
    """A recorded kind as it is served today, which may be in another version."""
    if discovery.serves(api_version, kind):
        return discovery.kind(api_version, kind)
    group = api_version.rpartition("/")[0]
    same = (one for one in discovery.namespaced() if (one.api_version.rpartition("/")[0], one.kind) == (group, kind))
    return next(same, None)


def _name_of(item: Object) -> tuple[str, str, str, str]:
    """Group, kind, namespace and name."""
    metadata = item["metadata"]
    group = str(item["apiVersion"]).rpartition("/")[0]
    return group, str(item["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])
