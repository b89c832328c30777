"""Merge patches: Kubernetes' strategic merge for its own kinds, RFC 7396 for all others.

The strategic merge does what kubectl does, order of lists included:
k8s.io/apimachinery, pkg/util/strategicpatch/patch.go, and for the merge keys the tags in k8s.io/api.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.render.kinds import group

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_TAKE_OUT = "$deleteFromPrimitiveList/"


class Unmergeable(Exception):  # noqa: N818 - never leaves wtsctl.render
    """A patch that cannot be applied; its text says where in the object and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field is merged.

    Attributes:
        parts: the rules of what is in it, or in each element of a list.
        key: the key that tells the elements of a list apart; empty for a list of plain values.
        merged: whether a list is merged; others are replaced as a whole.
        replaced: whether a mapping is replaced as a whole.
    """

    parts: Mapping[str, Rule] | None = None
    key: str = ""
    merged: bool = False
    replaced: bool = False


def _by(key: str, parts: Mapping[str, Rule] | None = None) -> Rule:
    return Rule(parts, key, merged=True)


_METADATA = Rule({"finalizers": Rule(merged=True), "ownerReferences": _by("uid")})
_CONTAINER = {
    "env": _by("name"),
    "ports": _by("containerPort"),
    "volumeDevices": _by("devicePath"),
    "volumeMounts": _by("mountPath"),
}
_VOLUME = {"ephemeral": Rule({"volumeClaimTemplate": Rule({"metadata": _METADATA})})}
_POD = Rule(
    {
        "containers": _by("name", _CONTAINER),
        "ephemeralContainers": _by("name", _CONTAINER),
        "hostAliases": _by("ip"),
        "imagePullSecrets": _by("name"),
        "initContainers": _by("name", _CONTAINER),
        "resourceClaims": _by("name"),
        "schedulingGates": _by("name"),
        "topologySpreadConstraints": _by("topologyKey"),
        "volumes": _by("name", _VOLUME),
    }
)
_TEMPLATE = Rule({"metadata": _METADATA, "spec": _POD})
_WITH_PODS = {"spec": Rule({"template": _TEMPLATE})}
_WEBHOOKS = {"webhooks": _by("name", {"matchConditions": _by("name")})}
_POLICY = {"matchConditions": _by("name"), "variables": _by("name")}
# By group and kind; every kind has `metadata` beside these. tests/cluster/test_merge.py compares all of them.
_KINDS: dict[tuple[str, str], Mapping[str, Rule]] = {
    ("", "Node"): {"spec": Rule({"podCIDRs": Rule(merged=True)})},
    ("", "Pod"): {"spec": _POD},
    ("", "PodTemplate"): {"template": _TEMPLATE},
    ("", "ReplicationController"): _WITH_PODS,
    ("", "Service"): {"spec": Rule({"ports": _by("port")})},
    ("", "ServiceAccount"): {"secrets": _by("name")},
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): {"spec": Rule({"matchConditions": _by("name")})},
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): {"spec": Rule(_POLICY)},
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("apps", "DaemonSet"): _WITH_PODS,
    ("apps", "Deployment"): _WITH_PODS,
    ("apps", "ReplicaSet"): _WITH_PODS,
    ("apps", "StatefulSet"): _WITH_PODS,
    ("batch", "CronJob"): {"spec": Rule({"jobTemplate": Rule({"metadata": _METADATA, **_WITH_PODS})})},
    ("batch", "Job"): _WITH_PODS,
    ("policy", "PodDisruptionBudget"): {"spec": Rule({"selector": Rule(replaced=True)})},
    ("storage.k8s.io", "CSINode"): {"spec": Rule({"drivers": _by("name")})},
}


def rules(api_version: str, kind: str) -> Mapping[str, Rule]:
    """How the fields of one of Kubernetes' own kinds are merged."""
    return {"metadata": _METADATA, **_KINDS.get((group(api_version), kind), {})}


def strategic(original: Mapping[str, Any], patch: Mapping[str, Any], parts: Mapping[str, Rule]) -> dict[str, Any]:
    """The object with a strategic merge patch applied; neither argument is changed.

    Raises:
        Unmergeable: the patch has no meaning for this object.
    """
    return _map(original, patch, parts, "")


def json_merge(original: Any, patch: Any) -> Any:
    """The value with a JSON merge patch applied (RFC 7396): lists are replaced as a whole, null takes a key away."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = json_merge(merged.get(key), value)
    return merged


def _map(
    original: Mapping[str, Any], patch: Mapping[str, Any], parts: Mapping[str, Rule] | None, where: str
) -> dict[str, Any]:
    if _DIRECTIVE in patch:
        if _directive(patch, where) == "delete":
            return {}
        return {key: _plain(value) for key, value in patch.items() if key != _DIRECTIVE and value is not None}
    merged = _retained(original, patch, where)
    for key, value in patch.items():
        if key.startswith(_TAKE_OUT):
            _take_out(merged, key.removeprefix(_TAKE_OUT), value, where)
        elif key.startswith("$") and key != _RETAIN:
            text = f"is no directive that is understood: {_DIRECTIVE}, {_RETAIN} and {_TAKE_OUT}LIST are"
            raise Unmergeable(f"{where}{key} {text}")
        elif value is None or (_is_directive(value) and not isinstance(merged.get(key), dict)):
            # As kubectl does: a directive for what is not there makes nothing.
            merged.pop(key, None)
        elif key != _RETAIN:
            merged[key] = _value(merged.get(key), value, (parts or {}).get(key, Rule()), f"{where}{key}")
    return merged


def _value(before: Any, value: Any, rule: Rule, where: str) -> Any:
    if isinstance(value, dict) and isinstance(before, dict) and not rule.replaced:
        return _map(before, value, rule.parts, f"{where}.")
    if isinstance(value, list) and isinstance(before, list) and rule.merged:
        return _list(before, value, rule, where)
    return _plain(value)


def _retained(original: Mapping[str, Any], patch: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What a patch leaves of the object before it is merged."""
    if _RETAIN not in patch:
        return dict(original)
    kept = patch[_RETAIN]
    new = {key for key, value in patch.items() if value is not None and not key.startswith("$")}
    if not isinstance(kept, list) or not new <= {key for key in kept if isinstance(key, str)}:
        raise Unmergeable(f"{where}{_RETAIN} has to list every key of the patch beside it")
    return {key: value for key, value in original.items() if key in kept}


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and _DIRECTIVE in value


def _directive(patch: Mapping[str, Any], where: str) -> str:
    directive = patch[_DIRECTIVE]
    if directive not in {"replace", "delete"}:
        raise Unmergeable(f"{where}{_DIRECTIVE}: expected replace or delete, got {directive!r:.40}")
    return str(directive)


def _take_out(merged: dict[str, Any], key: str, values: Any, where: str) -> None:
    if not isinstance(values, list):
        raise Unmergeable(f"{where}{_TAKE_OUT}{key}: expected a list")
    if isinstance(merged.get(key), list):
        merged[key] = [item for item in merged[key] if item not in values]


def _list(original: Sequence[Any], patch: Sequence[Any], rule: Rule, where: str) -> list[Any]:
    if not rule.key:
        news = [item for item in patch if item not in original]
        return _ordered([(item, item) for item in (*original, *news)], list(patch), list(original))
    for item in (*original, *patch):
        if not isinstance(item, dict) or (rule.key not in item and item.get(_DIRECTIVE) != "replace"):
            raise Unmergeable(f"{where}: every item needs `{rule.key}`, which tells them apart")
    directives = [_directive(item, f"{where}[].") if _DIRECTIVE in item else "" for item in patch]
    news = [item for item, directive in zip(patch, directives, strict=True) if not directive]
    if "replace" in directives:
        return [_plain(item) for item in news]
    gone = [item[rule.key] for item, directive in zip(patch, directives, strict=True) if directive]
    kept = [(item[rule.key], item) for item in original if item[rule.key] not in gone]
    merged: list[tuple[Any, Any]] = list(kept)
    for item in news:
        key = item[rule.key]
        at = next((index for index, (known, _) in enumerate(merged) if known == key), None)
        if at is None:
            merged.append((key, _plain(item)))
        else:
            merged[at] = (key, _map(merged[at][1], item, rule.parts, f"{where}[{key}]."))
    return _ordered(merged, [item[rule.key] for item in news], [key for key, _ in kept])


def _ordered(merged: Sequence[tuple[Any, Any]], patch: list[Any], original: list[Any]) -> list[Any]:
    """The items, by their keys in kubectl's order: each of the patch as early as the order of the others allows."""
    named = sorted((pair for pair in merged if pair[0] in patch), key=lambda pair: patch.index(pair[0]))
    others = [pair for pair in merged if pair[0] not in patch]
    ordered: list[Any] = []
    while named and others:
        key = named[0][0]
        first = key in original and original.index(others[0][0]) < original.index(key)
        ordered.append((others if first else named).pop(0)[1])
    return [*ordered, *(item for _, item in (*named, *others))]


def _plain(value: Any) -> Any:
    """A part of a patch for which there is nothing to merge with: without directives and without nulls."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None and not _is_directive(item)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directive(item)]
    return value
