"""Looking before anything is applied: what the cluster serves, what is there already, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import NAMESPACE, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.errors import ClusterRefused, Problem
from wtsctl.health.namespace import namespace as namespace_health
from wtsctl.health.state import State
from wtsctl.render.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery

MANAGED_BY = "app.kubernetes.io/managed-by"
_PART_OF = "app.kubernetes.io/part-of"
# What others put something into, so that taking one over would mean deleting theirs one day.
_HOLDERS = frozenset({"Namespace", "PersistentVolumeClaim"})
# What others made for more than us; taken over only by force.
_SHARED = frozenset({"Secret", "PriorityClass"})
# Who may list these sees more than an apply needs to: all tokens, all rights. They are asked for one by one.
BY_NAME = frozenset({"Secret", "Role", "RoleBinding"})
_FORBIDDEN, _NOT_FOUND = 403, 404
_UNSEEN: Object = {}
_NOBODYS: Object = {"metadata": {}}

Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to apply.

    Attributes:
        parallel: how many objects of a stage at once.
        force: take fields over from other field managers.
    """

    parallel: int = 8
    force: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Manifests that the cluster can take, as far as can be known before applying.

    Attributes:
        manifests: in the order of the deploy.
        kinds: by apiVersion and kind.
        before: the objects as they are, by kind, namespace and name.
        foreign: of `before`, what others made, and made not only for us: it is used and left as it is.
        missing: namespaces that do not exist yet.
        unlabelled: what is there under the name of a manifest and was not made by any catalog.
        unseen: what may be there, and may not be looked at.
        coming: the kinds, by apiVersion and kind, that a CustomResourceDefinition among the manifests brings.
    """

    manifests: tuple[Manifest, ...]
    kinds: Mapping[tuple[str, str], Kind]
    before: Mapping[Key, Object] = field(default_factory=dict)
    foreign: frozenset[Key] = frozenset()
    missing: frozenset[str] = frozenset()
    unlabelled: Mapping[Key, Object] = field(default_factory=dict)
    unseen: frozenset[Key] = frozenset()
    coming: frozenset[tuple[str, str]] = frozenset()

    def live(self, manifest: Manifest) -> Object | None:
        """The object as it is; None where there is none, or none that may be looked at."""
        key = key_wanted(manifest)
        return self.before.get(key) or self.unlabelled.get(key)


def prepare(
    client: Client,
    discovery: Discovery,
    manifests: Sequence[Manifest],
    labels: str,
    options: Options,
    *,
    look_only: bool = False,
) -> Prepared:
    """Look before anything is changed: kinds, namespaces, and what is there already, by one list a kind.

    Args:
        client: the cluster.
        discovery: its kinds.
        manifests: what is to be applied.
        labels: the selector of our own objects.
        options: how to apply.
        look_only: nothing will be applied, so that what an apply could not do is no error: kinds that the cluster
            does not serve are among `coming`.

    Raises:
        ClusterRefused: kinds are missing, a namespace or an object is being deleted, or objects are another
            catalog's and `options.force` is not set; `problems` has all of them.
        ClusterError: the cluster cannot be spoken to.
    """
    kinds, coming = _kinds(discovery, manifests, look_only=look_only)
    namespaces = sorted({one.name for one in manifests if one.kind == NAMESPACE.kind})
    looked = dict(zip(namespaces, each(lambda name: _look(client, name), namespaces, options.parallel), strict=True))
    dying = [_dying(name, item) for name, item in looked.items() if item is not None]
    if any(dying) and not look_only:
        raise _refused([problem for problem in dying if problem])
    missing = frozenset(name for name, item in looked.items() if item is None)
    reachable = [one for one in manifests if one.namespace not in missing]
    listed = [
        one for one in reachable if not is_asked_for(one) and one.namespace is not None and _kind(one) not in coming
    ]
    lists = sorted({(kinds[_kind(one)], one.namespace or "") for one in listed})
    found = each(lambda where: _there(client, *where), lists, options.parallel)
    alone = [one for one in reachable if is_asked_for(one) and _kind(one) not in coming]
    asked = each(lambda one: _one(client, kinds[_kind(one)], one), alone, options.parallel)
    unlabelled = {key_of(item): item for item in asked if item is not None and not _is_looked_at(item)}
    unseen = frozenset(key_wanted(one) for one, item in zip(alone, asked, strict=True) if item == _UNSEEN)
    found.append([item for item in asked if item and item != _UNSEEN and _is_looked_at(item)])
    before = {key_of(item): item for items in found for item in items}
    # What is wanted and was not found may be there all the same, made by someone else.
    again = sorted(
        {(kinds[_kind(one)], one.namespace or "") for one in listed if key_wanted(one) not in before}
        - {where for where in lists if where[0].kind in _HOLDERS}
    )
    strangers = each(lambda where: _strangers(client, *where), again, options.parallel)
    wanted = {key_wanted(one) for one in manifests}
    unlabelled |= {key_of(item): item for items in strangers for item in items if key_of(item) in wanted}
    before |= {("Namespace", "", name): item for name, item in looked.items() if item}
    leaving = [
        _leaving(one)
        for one in manifests
        if "deletionTimestamp" in _metadata(before, unlabelled, key_wanted(one))
        # Ours is made again once it is gone, as after a deploy that was killed over it.
        and (one.kind in _HOLDERS or not objects.carries(before.get(key_wanted(one)) or _NOBODYS, labels))
    ]
    if leaving and not look_only:
        raise _refused(leaving)
    others = {key: item for key, item in before.items() if not objects.carries(item, labels)}
    foreign = frozenset(key for key in others if key[0] in _HOLDERS or (key[0] in _SHARED and not options.force))
    taken = [_another(one, others[key_wanted(one)]) for one in manifests if key_wanted(one) in others.keys() - foreign]
    if taken and not options.force and not look_only:
        raise _refused(taken)
    return Prepared(tuple(manifests), kinds, before, foreign, missing, unlabelled, unseen, coming)


def _kinds(
    discovery: Discovery, manifests: Sequence[Manifest], *, look_only: bool
) -> tuple[dict[tuple[str, str], Kind], frozenset[tuple[str, str]]]:
    """The kinds of the manifests, and those of them that only these manifests bring.

    Raises:
        ClusterRefused: the cluster knows some of them not.
    """
    kinds: dict[tuple[str, str], Kind] = {}
    problems: dict[tuple[str, str], Problem] = {}
    brought = {(one.api_version, one.kind): one for manifest in manifests for one in defined(manifest.doc)}
    coming: set[tuple[str, str]] = set()
    for manifest in manifests:
        wanted = _kind(manifest)
        if wanted in kinds or wanted in problems:
            continue
        try:
            kinds[wanted] = discovery.kind(*wanted)
        except ApiRefused as error:
            if wanted in brought or look_only:
                kinds[wanted] = brought.get(wanted) or Kind(*wanted, plural="")
                coming.add(wanted)
                continue
            users = [one.model or one.identity for one in manifests if _kind(one) == wanted]
            problem = error.problem
            problems[wanted] = Problem(problem.code, problem.message, "needed by " + ", ".join(users), problem.hint)
    if problems:
        raise _refused(list(problems.values()))
    return kinds, frozenset(coming)


def defined(doc: Object) -> list[Kind]:
    """The kinds that a CustomResourceDefinition brings; none of anything else."""
    if doc.get("kind") != "CustomResourceDefinition":
        return []
    spec = doc.get("spec") or {}
    names, scope = spec.get("names") or {}, spec.get("scope")
    return [
        Kind(
            f"{spec.get('group')}/{version.get('name')}",
            str(names.get("kind")),
            str(names.get("plural")),
            scope == "Namespaced",
        )
        for version in spec.get("versions") or []
        if version.get("served")
    ]


def _kind(manifest: Manifest) -> tuple[str, str]:
    return manifest.api_version, manifest.kind


def _metadata(before: Mapping[Key, Object], unlabelled: Mapping[Key, Object], key: Key) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = (before.get(key) or unlabelled.get(key) or {}).get("metadata") or {}
    return metadata


def _leaving(manifest: Manifest) -> Problem:
    hint = "wait until it is gone, then deploy again; a finalizer may hold it, see `kubectl describe`"
    return Problem(ClusterRefused.code, "it is being deleted", manifest.identity, hint)


def _there(client: Client, kind: Kind, namespace: str) -> list[Object]:
    """What any catalog of wtsctl's made, and of the kinds that are left alone all there is."""
    labels = "" if kind.kind in _HOLDERS else f"{MANAGED_BY}={objects.FIELD_MANAGER}"
    if kind.kind == "ConfigMap":
        # The records of earlier deploys hold all that those applied.
        labels += ",app.kubernetes.io/component!=history"
    return objects.list_all(client, kind, namespace, labels=labels)[0]


def is_asked_for(manifest: Manifest) -> bool:
    """Whether an object is asked for by its name: what lies in no namespace, and what is not to be listed."""
    return manifest.kind in BY_NAME or (manifest.namespace is None and manifest.kind != "Namespace")


def _strangers(client: Client, kind: Kind, namespace: str) -> list[Object]:
    """What lies there and was made by no catalog."""
    return objects.list_all(client, kind, namespace, labels=f"{MANAGED_BY}!={objects.FIELD_MANAGER}")[0]


def _one(client: Client, kind: Kind, manifest: Manifest) -> Object | None:
    """The object as it is; None where there is none, `_UNSEEN` where it may not be looked at."""
    try:
        return objects.get(client, kind, manifest.namespace or "", manifest.name)
    except ApiRefused as error:
        if error.status == _NOT_FOUND:
            return None
        if error.status == _FORBIDDEN:
            return _UNSEEN
        raise


def _is_looked_at(item: Object) -> bool:
    """Whether it matters whose it is: a catalog's, and what others made for more than us."""
    if item == _UNSEEN:
        return True
    managed = (item["metadata"].get("labels") or {}).get(MANAGED_BY) == objects.FIELD_MANAGER
    return managed or item["kind"] in _SHARED


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


def key_of(item: Object) -> Key:
    """The key of an object as it is."""
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def key_wanted(manifest: Manifest) -> Key:
    """The key of an object as it should be."""
    return manifest.kind, manifest.namespace or "", manifest.name
