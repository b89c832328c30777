"""Whether an apply would change an object, from the object alone: no request, and no guess.

An object records which fields each field manager set (metadata.managedFields). The API server takes a field from a
manager as soon as another one changes its value. So an object is as an apply would leave it when the manager's record
names exactly the fields of the manifest, and each of them has the manifest's value. What is stored is spelled as the
API server spells it; where that is not known for certain the answer is "cannot tell", and the API server is asked.

The format: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from wtsctl.catalog.quantity import parse_quantity

# What the API server leaves out of the record, because it says which object it is.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace"})
# Values that the API server fills in inside of what is recorded only as a whole. A value of ours that is no longer
# wanted and another's differ from these, or are what the API server would fill in anyway.
_FILLED_IN: Mapping[str, Any] = {"protocol": "TCP"}
# The same of custom resources whose lists are replaced as a whole: kubernetes-sigs/gateway-api,
# config/crd/standard/gateway.networking.k8s.io_httproutes.yaml; external-secrets, config/crds/bases.
_FILLED_IN_OF: Mapping[str, Mapping[str, Any]] = {
    "HTTPRoute": {"weight": 1},
    "ExternalSecret": {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"},
}
# Kubernetes' own API groups with a dot in their names; a CRD's group always has one.
_BUILTIN_GROUPS = frozenset(f"{one}.k8s.io" for one in ("networking", "rbac.authorization", "scheduling", "storage"))
# Where Kubernetes' own kinds hold quantities, which it spells its own way: 1000m is stored as 1.
_QUANTITIES = frozenset({("resources", "requests"), ("resources", "limits")})
_QUANTITY = frozenset({("emptyDir", "sizeLimit"), ("target", "averageValue")})

# A field's or an item's name for itself in a record, beside those below it.
_ITSELF = frozenset({"."})

Path = tuple[str, ...]


class Unknown(Exception):  # noqa: N818 - not an error: the answer
    """It cannot be told whether an apply changes something; the text says where and why."""


def unchanged(live: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> bool:
    """Whether applying a manifest as a field manager leaves an object as it is; False also where that is unknown.

    Args:
        live: the object, with its managedFields.
        wanted: the manifest.
        manager: the field manager that applies.
    """
    return not why_asked(live, wanted, manager)


def why_asked(live: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> str:
    """Why it is not certain that an apply leaves the object as it is; empty where it is certain."""
    fields = applied_fields(live, manager, str(wanted.get("apiVersion")))
    if fields is None:
        return f"{manager} has not applied it in this version"
    builtin = _is_builtin(str(wanted.get("apiVersion")))
    form = _Form(builtin, _FILLED_IN if builtin else _FILLED_IN_OF.get(str(wanted.get("kind")), {}))
    stripped = {key: value for key, value in wanted.items() if key not in _IDENTITY}
    metadata = {key: value for key, value in wanted["metadata"].items() if key not in _IDENTITY_METADATA}
    stripped.pop("metadata")
    if metadata:
        stripped["metadata"] = metadata
    if builtin and wanted.get("kind") == "Secret":
        live = _with_string_data(live, stripped)
    try:
        form.same_map(stripped, live, fields, ())
    except Unknown as unknown:
        return str(unknown)
    return ""


def applied_fields(live: Mapping[str, Any], manager: str, api_version: str) -> Mapping[str, Any] | None:
    """What a manager has applied in one version of a kind, as `fieldsV1`; None where it has not."""
    for entry in live["metadata"].get("managedFields") or ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and entry.get("apiVersion") == api_version
        ):
            return entry.get("fieldsV1") or {}
    return None


def owns(fields: Mapping[str, Any] | None, *path: str) -> bool:
    """Whether a record names a field that is reached by names alone, such as spec, replicas."""
    at: Any = fields
    for name in path:
        at = at.get(f"f:{name}") if isinstance(at, Mapping) else None
    return at is not None


def _is_builtin(api_version: str) -> bool:
    """Whether Kubernetes itself knows a kind's fields; what a CRD stores is spelled as it was sent."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group in _BUILTIN_GROUPS


class _Form:
    """Comparing in the form in which one kind is stored.

    Args:
        builtin: Kubernetes knows the kind's fields, and spells them its own way.
        filled_in: what it fills in where a manifest says nothing, by key.
    """

    def __init__(self, builtin: bool, filled_in: Mapping[str, Any]) -> None:
        self._builtin = builtin
        self._filled_in = filled_in

    def same(self, wanted: Any, live: Any, fields: Mapping[str, Any], path: Path) -> None:
        """Go on where a value is what is wanted, and recorded as that.

        Raises:
            Unknown: it is not, or that cannot be told.
        """
        recorded = fields.keys() - _ITSELF
        if not recorded:
            self.same_whole(wanted, live, path)
        elif isinstance(wanted, dict) and isinstance(live, dict):
            self.same_map(wanted, live, fields, path)
        elif _is_list(wanted) and _is_list(live) and all(key.startswith("k:") for key in recorded):
            self.same_items(wanted, live, fields, path)
        elif _is_list(wanted) and _is_list(live) and all(key.startswith("v:") for key in recorded):
            self.same_set(wanted, live, recorded, path)
        else:
            raise Unknown(f"{_shown(path)} is recorded in another form")

    def same_map(
        self, wanted: Mapping[str, Any], live: Mapping[str, Any], fields: Mapping[str, Any], path: Path
    ) -> None:
        if len(fields) - ("." in fields) != len(wanted) or any(f"f:{key}" not in fields for key in wanted):
            recorded, named = fields.keys() - _ITSELF, {f"f:{key}" for key in wanted}
            first = min(recorded ^ named)
            raise Unknown(f"{_shown((*path, first[2:]))} is {'no longer wanted' if first in recorded else 'not ours'}")
        for key, value in wanted.items():
            below, there = fields[f"f:{key}"], live.get(key)
            # Texts are most of what there is, and most of them are the same: nothing else is to be said of those.
            if below or type(value) is not str or value != there:
                self.same(value, there, below, (*path, key))

    def same_items(self, wanted: Sequence[Any], live: Sequence[Any], fields: Mapping[str, Any], path: Path) -> None:
        """A list whose items are told apart by some of their keys; others' may lie between."""
        keys = {name: _item_key(name) for name in fields if name != "."}
        (by, *others) = {tuple(key) for key in keys.values()}
        if len(wanted) != len(keys) or others:
            raise Unknown(f"{_shown(path)} has other items")
        named = {tuple(key.values()): name for name, key in keys.items()}
        places: dict[object, list[int]] = {}
        for index, one in enumerate(live):
            places.setdefault(_key_of(one, by, {}), []).append(index)
        order: list[int] = []
        for item in wanted:
            # Of what an item leaves out, the API server fills in the protocol.
            key = _key_of(item, by, _FILLED_IN)
            name = named.pop(key, "") if key is not None else ""
            at = places.get(key, [])
            if not name or len(at) != 1:
                raise Unknown(f"{_shown(path)} has other items")
            below = fields[name]
            order += at
            if not below:
                # An item that is only replaced as a whole, such as a reference to a Secret.
                self.same_whole(item, live[at[0]], (*path, str(at[0])))
                continue
            if "." not in below:
                raise Unknown(f"an item of {_shown(path)} is not ours")
            self.same_map(item, live[at[0]], below, (*path, str(at[0])))
        if order != sorted(order):
            raise Unknown(f"{_shown(path)} is in another order")

    def same_set(self, wanted: Sequence[Any], live: Sequence[Any], recorded: set[str], path: Path) -> None:
        values = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in wanted]
        there = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in live]
        if {f"v:{value}" for value in values} != recorded or values != [one for one in there if one in values]:
            raise Unknown(f"{_shown(path)} has other values")

    def same_whole(self, wanted: Any, live: Any, path: Path) -> None:
        """What is recorded as one thing: a scalar, an empty map or list, or one that is only replaced as a whole."""
        if self._builtin and live is None and not wanted and wanted is not None:
            return  # false, 0 and what is empty are left out of what is stored
        if isinstance(wanted, dict) and isinstance(live, dict):
            for key in live.keys() - wanted.keys():
                if key not in self._filled_in or not _equal(self._filled_in[key], live[key]):
                    raise Unknown(f"{_shown((*path, key))} is set, and the manifest does not say it")
            for key, value in wanted.items():
                self.same_whole(value, live.get(key), (*path, key))
        elif _is_list(wanted) and _is_list(live):
            if len(wanted) != len(live):
                raise Unknown(f"{_shown(path)} has another length")
            for at, (one, other) in enumerate(zip(wanted, live, strict=True)):
                self.same_whole(one, other, (*path, str(at)))
        elif not _equal(wanted, live) and not (self._builtin and _is_quantity(path) and _same_quantity(wanted, live)):
            raise Unknown(f"{_shown(path)} differs")


def _equal(wanted: Any, live: Any) -> bool:
    """Whether two scalars are the same in JSON, where true is not 1."""
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    return wanted is not None and bool(wanted == live)


@lru_cache(maxsize=4096)
def _item_key(name: str) -> Mapping[str, Any]:
    """The key of an item of a list, from its name in a record: `k:{"containerPort":8000,"protocol":"TCP"}`."""
    key: Mapping[str, Any] = json.loads(name[2:])
    return key


def _key_of(item: Any, by: tuple[str, ...], filled_in: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The values of the fields by which an item is told apart, or None where it lacks one that nobody fills in."""
    if not isinstance(item, dict):
        return None
    values = tuple(item[field] if field in item else filled_in.get(field) for field in by)
    return values if all(type(value) in {str, int} for value in values) else None


def _is_quantity(path: Path) -> bool:
    return path[-3:-1] in _QUANTITIES or path[:-1] == ("spec", "hard") or path[-2:] in _QUANTITY


def _same_quantity(wanted: Any, live: Any) -> bool:
    try:
        return parse_quantity(str(wanted)) == parse_quantity(str(live))
    except ValueError:
        return False


def _with_string_data(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret as if its `stringData`, which the API server turns into `data`, could be read back."""
    texts: dict[str, str] = {}
    for key in wanted.get("stringData") or {}:
        value = (live.get("data") or {}).get(key)
        if isinstance(value, str):
            try:
                texts[key] = base64.b64decode(value, validate=True).decode()
            except ValueError:
                continue  # no text, so not what is wanted
    return {**live, "stringData": texts} if texts else live


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _shown(path: Path) -> str:
    return "." + ".".join(path)
