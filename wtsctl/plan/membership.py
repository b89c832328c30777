"""Which objects belong to a catalog, in the form that kubectl's ApplySet has; objects are plain dicts.

Every member carries a label with the id of its set. A parent object carries the same id, and says in which kinds and
namespaces members are, so that what is no longer wanted is found again. The form is that of kubectl
(k8s.io/kubectl, pkg/cmd/apply/applyset.go) and of kubernetes/enhancements, KEP-3659.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.errors import ClusterRefused, Problem, TemplateError

PART_OF = "applyset.kubernetes.io/part-of"
ID = "applyset.kubernetes.io/id"
_TOOLING = "applyset.kubernetes.io/tooling"
_GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
# Ours is the form of the parent, and not the release that wrote it: an update of wtsctl changes no object.
_TOOL, _FORM = "wtsctl", "v1"
_COMPONENT = "applyset"

NEVER_PRUNED: Mapping[str, str] = {
    "Namespace": "with it goes everything in it",
    "PersistentVolumeClaim": "with it goes the data on its volume",
    "PersistentVolume": "with it may go the data on it",
    "CustomResourceDefinition": "with it go all objects of its kinds, whoever made them",
}
"""Kinds that no prune deletes, each with the reason; so they are no members either, for whichever tool."""
# KServe gives an InferenceService's labels to its pods (kserve/kserve, pkg/controller/v1beta1/inferenceservice/
# components/predictor.go): with one more label on those that are there, each model would restart. Its annotations too,
# but for a list that has none of ours (pkg/constants/constants.go, ServiceAnnotationDisallowedList).
UNLABELLED = frozenset({*NEVER_PRUNED, "InferenceService"})
"""Kinds whose objects do not say whose they are: the parent says their names."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where the parent of a catalog's objects is.

    Attributes:
        catalog: name of the catalog.
        namespace: of the parent: `defaults.namespace`.
    """

    catalog: str
    namespace: str

    @property
    def name(self) -> str:
        """Name of the parent, a ConfigMap."""
        return f"wtsctl-{self.catalog}"

    @property
    def id(self) -> str:
        """The id of the set, which follows from the name of its parent."""
        return applyset_id(self.name, self.namespace)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where members are: what has to be looked at to find them all.

    Attributes:
        lists: apiVersion, kind and namespace of what is found by a list.
        named: apiVersion, kind, namespace and name of what is asked for by name, because it lies in no namespace or
            its kind is not to be listed; then the namespace may be empty. Also of what is found by a list, and does
            not say whose it is.
    """

    lists: frozenset[tuple[str, str, str]] = frozenset()
    named: frozenset[tuple[str, str, str, str]] = frozenset()

    def __or__(self, other: Scope) -> Scope:
        return Scope(self.lists | other.lists, self.named | other.named)

    def __sub__(self, other: Scope) -> Scope:
        return Scope(self.lists - other.lists, self.named - other.named)

    def names(self, item: Mapping[str, Any]) -> bool:
        """Whether it says this very object, in whichever version of its kind."""
        metadata = item["metadata"]
        wanted = (_group(item["apiVersion"]), item["kind"], str(metadata.get("namespace") or ""), metadata["name"])
        return any((_group(version), *rest) == wanted for version, *rest in self.named)


def applyset_id(name: str, namespace: str, kind: str = "ConfigMap", group: str = "") -> str:
    """The id of a set, from what names its parent."""
    digest = hashlib.sha256(f"{name}.{namespace}.{kind}.{group}".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}-v1"


def member(doc: Mapping[str, Any], home: Home) -> dict[str, Any]:
    """A manifest with the label of a member on itself; what it makes, such as pods, gets none.

    Raises:
        TemplateError: it says already that it is another set's.
    """
    metadata = doc["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(PART_OF, home.id) != home.id:
        where = "/".join(part for part in (metadata.get("namespace"), doc["kind"], metadata["name"]) if part)
        raise TemplateError(
            f"the label {PART_OF} is '{labels[PART_OF]}': an object belongs to one set",
            where=where,
            hint="take the label out; deploy sets it",
        )
    if doc["kind"] in UNLABELLED:
        return dict(doc)
    return {**doc, "metadata": {**metadata, "labels": {**labels, PART_OF: home.id}}}


def is_other(item: Mapping[str, Any], home: Home, known: Scope | None = None) -> bool:
    """Whether an object is another set's, such as that of a catalog of the same name with another home.

    Members and parents say it; records of deploys are kept beside their parent. Of what does not say it, that is
    another set's which is not recorded, where anything is.

    Args:
        item: the object.
        home: the catalog's set.
        known: what is recorded of it; None or empty: nothing is.
    """
    if item["kind"] in UNLABELLED:
        return known is not None and known != Scope() and not known.names(item)
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get("app.kubernetes.io/component") == "history" and PART_OF not in labels:
        return bool(metadata.get("namespace") != home.namespace)
    return any(labels.get(key, home.id) != home.id for key in (PART_OF, ID))


def bookkeeping_labels(catalog: str, component: str) -> dict[str, str]:
    """The labels of what wtsctl keeps for itself beside a catalog: its lock, its records, the record of its members."""
    return {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": _TOOL,
        "app.kubernetes.io/part-of": catalog,
    }


def parent(home: Home, scope: Scope) -> dict[str, Any]:
    """The parent of a set, to be applied."""
    places = [(version, kind, namespace) for version, kind, namespace, _ in scope.named]
    members = [one for one in (*scope.lists, *places) if one[1] not in UNLABELLED]
    kinds = {_group_kind(version, kind) for version, kind, _ in members}
    namespaces = {namespace for _, _, namespace in members} - {"", home.namespace}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": home.name,
            "namespace": home.namespace,
            # No instance among them: that of a model would have `delete MODEL` take it.
            "labels": {
                "app.kubernetes.io/name": _COMPONENT,
                **bookkeeping_labels(home.catalog, _COMPONENT),
                ID: home.id,
            },
            "annotations": {
                _TOOLING: f"{_TOOL}/{_FORM}",
                _GROUP_KINDS: ",".join(sorted(kinds)),
                _NAMESPACES: ",".join(sorted(namespaces)),
            },
        },
        "data": {
            "lists": "".join(f"{' '.join(one)}\n" for one in sorted(scope.lists)),
            "named": "".join(
                f"{version} {kind} {namespace}/{name}\n" for version, kind, namespace, name in sorted(scope.named)
            ),
        },
    }


def recorded(item: Mapping[str, Any], home: Home) -> Scope:
    """The scope that a parent says.

    Raises:
        ClusterRefused: it is not ours, or cannot be read.
    """
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    tooling = str(annotations.get(_TOOLING, ""))
    where = f"{home.namespace}/ConfigMap/{home.name}"
    other = "give the catalog another name, or delete it: the objects that it is about stay"
    if ID not in labels and not tooling:
        raise _refused("it is there, and was not made by wtsctl to say what belongs to the catalog", where, other)
    if tooling.rpartition("/")[0] != _TOOL:
        raise _refused(f"it is the ApplySet of another tool, '{tooling}'", where, other)
    if tooling != f"{_TOOL}/{_FORM}":
        raise _refused(f"it was written by a newer wtsctl ('{tooling}')", where, "use that one, or a newer one")
    if labels.get(ID) != home.id:
        raise _refused(f"the label {ID} is '{labels.get(ID)}' and should be '{home.id}'", where, _AGAIN)
    data = item.get("data") or {}
    try:
        lists = frozenset(_list(line) for line in str(data.get("lists", "")).splitlines())
        named = frozenset(_named(line) for line in str(data.get("named", "")).splitlines())
    except ValueError as error:
        raise _refused(f"it cannot be read: {error}", where, _AGAIN) from error
    return Scope(lists, named)


_AGAIN = "delete it and deploy again; the objects that it is about stay"


def is_current(item: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a parent says already what it should."""
    if item is None or (item.get("data") or {}) != wanted["data"]:
        return False
    return all(
        (item["metadata"].get(field) or {}).get(key) == value
        for field in ("labels", "annotations")
        for key, value in wanted["metadata"][field].items()
    )


def places(found: Iterable[Mapping[str, Any]], *, by_name: Iterable[str]) -> Scope:
    """Where objects are that have to be found again; `by_name` are the kinds that are not to be listed.

    What does not say whose it is, is recorded by its name too.
    """
    alone = frozenset(by_name)
    lists: set[tuple[str, str, str]] = set()
    named: set[tuple[str, str, str, str]] = set()
    for one in found:
        version, kind, metadata = str(one["apiVersion"]), str(one["kind"]), one["metadata"]
        namespace = str(metadata.get("namespace") or "")
        listed = bool(namespace) and kind not in alone
        if listed:
            lists.add((version, kind, namespace))
        if not listed or kind in UNLABELLED:
            named.add((version, kind, namespace, str(metadata["name"])))
    return Scope(frozenset(lists), frozenset(named))


def _list(line: str) -> tuple[str, str, str]:
    version, kind, namespace = _words(line)
    return version, kind, namespace


def _named(line: str) -> tuple[str, str, str, str]:
    version, kind, where = _words(line)
    namespace, slash, name = where.partition("/")
    if not slash or not name:
        raise ValueError(f"expected NAMESPACE/NAME in '{line:.100}'")
    return version, kind, namespace, name


def _words(line: str) -> list[str]:
    words = line.split(" ")
    if len(words) != 3 or not all(words):  # noqa: PLR2004
        raise ValueError(f"expected three words in '{line:.100}'")
    return words


def _group_kind(api_version: str, kind: str) -> str:
    group = _group(api_version)
    return f"{kind}.{group}" if group else kind


def _group(api_version: Any) -> str:
    return str(api_version).rpartition("/")[0]


def _refused(message: str, where: str, hint: str) -> ClusterRefused:
    error = ClusterRefused(message)
    error.problems = (Problem(ClusterRefused.code, message, where, hint),)
    return error
