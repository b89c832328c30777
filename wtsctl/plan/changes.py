"""What a deploy would change, object by object and field by field; objects are plain dicts.

The fields are the difference between an object as it is and as the API server says that it would be, so that what it
fills in and what others own is no difference. Values of Secrets are masked here: nothing behind this module has them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wtsctl.errors import Problem

# What the API server counts along, and what a controller says: no part of what was asked for.
_COUNTED = frozenset({"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"})
# What tells the items of a list apart, in the order in which it is tried.
_KEYS = ("name", "containerPort", "port", "mountPath", "key", "type", "ip")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Action(StrEnum):
    """What a deploy does with one object."""

    CREATE = "create"
    CONFIGURE = "configure"
    RECREATE = "recreate"
    PRUNE = "prune"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Field:
    """One field that differs.

    Attributes:
        path: such as `spec.template.spec.containers[vllm].image`.
        before: its value; None where there is none.
        after: its value; None where there is none any more.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one object.

    Attributes:
        identity: `NAMESPACE/KIND/NAME`, or `KIND/NAME` without a namespace.
        stage: when it happens: namespace, config, models, llama-stack or agents.
        model: the model that it belongs to; None for what is shared.
        action: what is done with it.
        fields: what differs; empty where it is created, pruned or unchanged, or where that is not known.
        note: what else is to be said about it.
        taken: the fields that earlier tools set and that are taken over, each with the tool.
        problem: why it cannot be done.
    """

    identity: str
    stage: str
    model: str | None
    action: Action
    fields: tuple[Field, ...] = ()
    note: str = ""
    taken: tuple[str, ...] = ()
    problem: Problem | None = None

    def data(self) -> dict[str, Any]:
        """The change in `-o json`."""
        return {
            "identity": self.identity,
            "stage": self.stage,
            "model": self.model,
            "action": self.action.value,
            "note": self.note,
            "taken": list(self.taken),
            "fields": [{"path": one.path, "before": one.before, "after": one.after} for one in self.fields],
        }


def digest(changes: Iterable[Change]) -> str:
    """The hash of a plan: the same for the same changes, whatever their order."""
    canonical = sorted(json.dumps(one.data(), sort_keys=True) for one in changes)
    return hashlib.sha256("\n".join(canonical).encode()).hexdigest()


def counted(changes: Iterable[Change]) -> str:
    """`2 to create, 1 to configure, 10 unchanged`, in the order of `Action`."""
    found = Counter(one.action for one in changes)
    return ", ".join(
        f"{found[action]} {'unchanged' if action is Action.UNCHANGED else f'to {action.value}'}"
        for action in Action
        if found[action]
    )


def comparable(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without its status and what the API server counts along; values of Secrets are still in it."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in _COUNTED}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}


def masked(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[Any, Any]:
    """Both states of an object to be shown; of a Secret only which values differ, in the words of `kubectl diff`.

    Either may be None, and then stays None.
    """
    old, new = (None if one is None else comparable(one) for one in (before, after))
    for field in ("data", "stringData"):
        values = [_values(one, field) for one in (old, new)]
        for key in {*values[0], *values[1]}:
            differs = key in values[0] and key in values[1] and values[0][key] != values[1][key]
            for one, held, mark in ((old, values[0], "*** (before)"), (new, values[1], "*** (after)")):
                if one is not None and key in held:
                    one[field] = {**one[field], key: mark if differs else "***"}
    for one in (old, new):
        if one is not None and one.get("kind") == "Secret" and one["metadata"].get("annotations"):
            # It holds what was applied, values and all.
            annotations = one["metadata"]["annotations"]
            one["metadata"]["annotations"] = {
                key: "***" if key == _LAST_APPLIED else value for key, value in annotations.items()
            }
    return old, new


def _values(item: Mapping[str, Any] | None, field: str) -> Mapping[str, Any]:
    found = item.get(field) if item is not None and item.get("kind") == "Secret" else None
    return found if isinstance(found, Mapping) else {}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields in which an object will differ from what it is, values of Secrets masked."""
    return tuple(_differences(*masked(before, after), ""))


def declared(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of a manifest that differ from an object as it is, where the API server was not asked.

    What the API server fills in is not known here, and a field that is no longer wanted is not among them.
    """
    before, after = masked(live, wanted)
    return tuple(one for one in _differences(before, after, "") if one.after is not None and one.after != {})


def _differences(before: Any, after: Any, path: str) -> Iterator[Field]:
    if _same(before, after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), _joined(path, key))
        return
    if isinstance(before, list) and isinstance(after, list):
        key = _key_of([*before, *after])
        if key and _distinct(before, key) and _distinct(after, key):
            old, new = ({str(item[key]): item for item in items} for items in (before, after))
            if [name for name in old if name in new] == [name for name in new if name in old]:
                for name in {**old, **new}:
                    yield from _differences(old.get(name), new.get(name), f"{path}[{name}]")
                return
        elif len(before) == len(after) and all(isinstance(one, (Mapping, list)) for one in (*before, *after)):
            for at, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from _differences(one, other, f"{path}[{at}]")
            return
    yield Field(path, before, after)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _joined(path: str, key: str) -> str:
    if not path:
        return key
    # A key with dots, as labels and annotations have, is told from a path.
    return f"{path}['{key}']" if "." in key or "/" in key else f"{path}.{key}"


def _key_of(items: Sequence[Any]) -> str:
    """The key that tells the items of a list apart; empty where there is none."""
    maps = [item for item in items if isinstance(item, Mapping)]
    if len(maps) < len(items) or not maps:
        return ""
    return next((key for key in _KEYS if all(isinstance(item.get(key), (str, int)) for item in maps)), "")


def _distinct(items: Sequence[Any], key: str) -> bool:
    return len({str(item[key]) for item in items}) == len(items)
