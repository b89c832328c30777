"""All that lies in a namespace, in a form in which two namespaces with the same in them are equal."""

from __future__ import annotations

import json
import re
from typing import Any

from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import NAMESPACE, Discovery
from wtsctl.cluster.parallel import each

# What comes from watching others, what ends by itself, and what tells of each deploy by itself.
_LEFT_OUT_KINDS = frozenset({"Event", "Endpoints", "EndpointSlice", "Lease"})
_LEFT_OUT_COMPONENTS = frozenset({"history"})
_PASSING = frozenset({"uid", "resourceVersion", "creationTimestamp", "time", "clusterIP", "clusterIPs", "selfLink"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SET = re.compile(r"applyset-[\w-]{43}-v1")
_HASH = "pod-template-hash"


def everything(client: Client, space: str) -> dict[str, Any]:
    """Every object of a namespace, and itself, by kind and name."""
    kinds = [one for one in Discovery(client).namespaced() if one.kind not in _LEFT_OUT_KINDS]
    found = [item for items in each(lambda kind: objects.list_all(client, kind, space)[0], kinds) for item in items]
    found.append(objects.get(client, NAMESPACE, "", space))
    kept = [one for one in found if _labels(one).get("app.kubernetes.io/component") not in _LEFT_OUT_COMPONENTS]
    text = json.dumps([_lasting(one) for one in kept])
    for number, mark in enumerate(_hashes(kept)):
        text = text.replace(mark, f"HASH{number}")
    text = _UID.sub("UID", _TIME.sub("TIME", text.replace(space, "SPACE")))
    text = _SET.sub("APPLYSET", text)
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in json.loads(text)}


def difference(found: Any, wanted: Any, at: str = "") -> list[str]:
    """Each value in which two of them differ, with where it is."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = sorted(found.keys() | wanted.keys())
        return [one for name in names for one in difference(found.get(name), wanted.get(name), f"{at} {name}")]
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [
            one
            for number, pair in enumerate(zip(found, wanted, strict=True))
            for one in difference(*pair, f"{at} {number}")
        ]
    return [] if found == wanted else [f"{at}: {found} instead of {wanted}"]


def _hashes(items: list[Any]) -> list[str]:
    """The marks of pod templates, each computed from one in which the catalog's name stands, in a fixed order."""
    made = [one for one in items if one["kind"] == "ReplicaSet"]
    made.sort(key=lambda one: (one["metadata"]["ownerReferences"][0]["name"], _revision(one)))
    return [_labels(one)[_HASH] for one in made]


def _revision(item: Any) -> int:
    return int((item["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0))


def _labels(item: Any) -> dict[str, str]:
    labels: dict[str, str] = item["metadata"].get("labels") or {}
    return labels


def _lasting(value: Any) -> Any:
    """A value without what is another in each cluster, and its managers in a fixed order."""
    if isinstance(value, dict):
        kept = {key: _lasting(one) for key, one in value.items() if key not in _PASSING}
        if "managedFields" in kept:
            kept["managedFields"] = sorted(kept["managedFields"], key=lambda one: json.dumps(one, sort_keys=True))
        return kept
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return value
