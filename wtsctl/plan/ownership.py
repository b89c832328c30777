"""Whose fields an apply takes: from a tool of earlier, without asking; from whoever else, only when told to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wtsctl.plan.unchanged import applied_fields, owns

# Tools that someone ran once and that set nothing back: kubectl in all its commands, and helm. The API server itself
# says `before-first-apply` of fields from before it kept records.
_EARLIER = re.compile(r"kubectl(-[a-z-]+)?|helm|before-first-apply")
CLIENT_SIDE_APPLY = "kubectl-client-side-apply"
REPLICAS_MANAGER = "wtsctl-replicas"
"""Who holds `replicas` between us, who no longer set it, and the autoscaler that will."""

# Controllers that write their value again, however often it is taken from them.
_RECONCILERS = {
    "kustomize-controller": "Flux applies it again and again: take it out of its Kustomization, or let Flux deploy",
    "helm-controller": "Flux applies it again and again: take it out of its HelmRelease, or let Flux deploy",
    "argocd-controller": "Argo CD applies it again and again: take it out of its Application, or let Argo CD deploy",
    "kube-controller-manager": "an autoscaler sets it: use `autoscale` in models.yaml, or delete the autoscaler and "
    "give --force-conflicts",
}


def is_earlier(manager: str, own: str) -> bool:
    """Whether a field manager is a tool that was used before, or ours by other means than applying."""
    return manager in {own, REPLICAS_MANAGER} or _EARLIER.fullmatch(manager) is not None


def advice(managers: Iterable[str]) -> str:
    """What to do about fields that others own."""
    known = [_RECONCILERS[one] for one in dict.fromkeys(managers) if one in _RECONCILERS]
    return "; ".join(known) or "leave those fields to their owner, or take them over with --force-conflicts"


def applied_by_kubectl(live: Mapping[str, Any]) -> bool:
    """Whether `kubectl apply` set fields of an object, of which those that are no longer wanted would stay."""
    return any(_is_client_side(one) for one in live["metadata"].get("managedFields") or ())


def _is_client_side(entry: Mapping[str, Any]) -> bool:
    return (
        entry.get("manager") == CLIENT_SIDE_APPLY
        and entry.get("operation") == "Update"
        and not entry.get("subresource")
    )


def migrated(live: Mapping[str, Any], manager: str, api_version: str) -> list[dict[str, Any]]:
    """The managedFields of an object with what `kubectl apply` set recorded as applied by us.

    As `kubectl apply --server-side` does (k8s.io/client-go/util/csaupgrade): what is then applied takes away what
    it no longer has, the annotation of what was last applied among it.
    """
    entries: Sequence[Mapping[str, Any]] = live["metadata"].get("managedFields") or ()
    ours: dict[str, Any] = dict(applied_fields(live, manager, api_version) or {})
    kept: list[dict[str, Any]] = []
    for entry in entries:
        if _is_client_side(entry) and entry.get("apiVersion") == api_version:
            ours = _union(ours, entry.get("fieldsV1") or {})
        elif not _is_client_side(entry) and not (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and entry.get("apiVersion") == api_version
        ):
            kept.append(dict(entry))
    own = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": ours,
    }
    return [own, *kept]


def without_leftovers(after: Mapping[str, Any]) -> dict[str, Any]:
    """An object as a dry run answered it, without what only `kubectl apply` had set: `migrated` makes that go."""
    entries = after["metadata"].get("managedFields") or ()
    gone: dict[str, Any] = {}
    for entry in entries:
        if _is_client_side(entry):
            gone = _union(gone, entry.get("fieldsV1") or {})
    others = [entry.get("fieldsV1") or {} for entry in entries if not _is_client_side(entry)]
    without: dict[str, Any] = _without(after, gone, others)
    return without


def _without(held: Any, gone: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Any:
    """A value without the fields of a record that stand in no other record."""
    if isinstance(held, Mapping):
        kept = dict(held)
        for key in held:
            below = gone.get(f"f:{key}")
            if below is None:
                continue
            named = [one[f"f:{key}"] for one in others if f"f:{key}" in one]
            left = _without(held[key], below, named)
            if named or (_names(below) and left not in ({}, [])):
                kept[key] = left
            else:
                del kept[key]
        return kept
    if isinstance(held, list):
        return list(_without_items(held, gone, others))
    return held


def _without_items(held: Sequence[Any], gone: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    for item in held:
        name = next((one for one in _names(gone) if _means(one, item)), None)
        if name is None:
            yield item
            continue
        named = [one[name] for one in others if name in one]
        if named:
            yield _without(item, gone[name], named)


def _names(fields: Mapping[str, Any]) -> list[str]:
    return [name for name in fields if name != "."]


def _means(name: str, item: Any) -> bool:
    """Whether a record's `k:{"name":"x"}` or `v:"x"` is about an item of a list."""
    value = json.loads(name[2:])
    if name.startswith("k:"):
        return isinstance(item, Mapping) and all(item.get(key) == one for key, one in value.items())
    return bool(item == value)


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _union(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
        for key in (*one, *(key for key in other if key not in one))
    }


def replicas_to_keep(live: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> int | None:
    """How many replicas an object keeps that we set and no longer do; None where that is not the case.

    Given up without a new owner, the field would go back to its default, which is one.
    https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
    """
    spec = wanted.get("spec")
    if not isinstance(spec, Mapping) or "replicas" in spec:
        return None
    fields = applied_fields(live, manager, str(wanted.get("apiVersion")))
    replicas = (live.get("spec") or {}).get("replicas")
    return replicas if owns(fields, "spec", "replicas") and isinstance(replicas, int) else None
