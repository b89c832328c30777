"""Which objects of a catalog are no longer wanted, and what may be done with each; objects are plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wtsctl.plan.changes import Action, Change
from wtsctl.plan.membership import ID, NEVER_PRUNED, PART_OF, Home

KEEP = "wtsctl.io/prune"
_HELM_KEEP = "helm.sh/resource-policy"
# What wtsctl writes about deploys: it carries the catalog's labels and is no member.
_BOOKS = frozenset({"applyset", "history"})
STAGE = "prune"
"""When it happens: after every stage of the deploy."""


class Standing(StrEnum):
    """How an object stands to a catalog that does not want it."""

    FOREIGN = "foreign"
    KEPT = "kept"
    NEVER = "never"
    LEAVING = "leaving"
    REMOVED = "removed"


class Reason(StrEnum):
    """Why an object stays that the catalog no longer wants."""

    NOT_ASKED = "not-asked"
    KEPT = "kept"
    NEVER = "never"
    SPARED = "spared"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Left:
    """What stays though it is no longer wanted, or may be there and cannot be seen.

    Attributes:
        identity: which object; `NAMESPACE/KIND/*` for all of a kind.
        model: the model that it belonged to, if any.
        reason: why it stays.
        note: the same in words, with what to do.
    """

    identity: str
    model: str | None
    reason: Reason
    note: str

    def data(self) -> dict[str, Any]:
        """The same in `-o json`."""
        return {"identity": self.identity, "model": self.model, "reason": self.reason.value, "note": self.note}


def standing(item: Mapping[str, Any], home: Home, manager: str) -> Standing:
    """How an object that no manifest names stands to a catalog.

    Args:
        item: the object, with its managedFields.
        home: the catalog's set.
        manager: our field manager.
    """
    metadata = item["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if not _is_ours(item, labels, home, manager):
        return Standing.FOREIGN
    if annotations.get(KEEP) == "keep" or annotations.get(_HELM_KEEP) == "keep":
        return Standing.KEPT
    if metadata.get("deletionTimestamp"):
        return Standing.LEAVING
    return Standing.NEVER if item["kind"] in NEVER_PRUNED else Standing.REMOVED


def objection(then: Mapping[str, Any], now: Mapping[str, Any], home: Home, manager: str) -> str:
    """Why an object that was to be removed is not to be any more; empty where nothing speaks against it.

    Args:
        then: as it was when the plan was made.
        now: as it is.
        home: the catalog's set.
        manager: our field manager.
    """
    if then["metadata"]["uid"] != now["metadata"]["uid"]:
        return "another one of this name was made since the plan was made"
    found = standing(now, home, manager)
    if found is Standing.KEPT:
        return "since the plan was made an annotation says to keep it"
    if found not in {Standing.REMOVED, Standing.LEAVING}:
        return "since the plan was made it belongs to someone else"
    if _applied(then, manager) != _applied(now, manager):
        return "another deploy applied it since the plan was made"
    return ""


def _applied(item: Mapping[str, Any], manager: str) -> list[Any]:
    """What we applied of an object, and when."""
    return [
        one
        for one in item["metadata"].get("managedFields") or ()
        if one.get("manager") == manager and one.get("operation") == "Apply"
    ]


def _is_ours(item: Mapping[str, Any], labels: Mapping[str, Any], home: Home, manager: str) -> bool:
    metadata = item["metadata"]
    if (
        labels.get("app.kubernetes.io/managed-by") != manager
        or labels.get("app.kubernetes.io/part-of") != home.catalog
        or metadata.get("ownerReferences")
    ):
        return False
    # Without the label: from before there were members, or of a kind that gets none and is looked up in the record.
    if labels.get(PART_OF, home.id) != home.id:
        return False
    if PART_OF not in labels and (
        ID in labels or item["kind"] == "Lease" or labels.get("app.kubernetes.io/component") in _BOOKS
    ):
        return False
    return bool(_applied(item, manager))


def removed(item: Mapping[str, Any], note: str = "") -> Change:
    """The deletion of an object that is no longer wanted, as a part of a plan."""
    return Change(identity(item), STAGE, model_of(item), Action.PRUNE, note=note)


def left(item: Mapping[str, Any], found: Standing) -> Left:
    """An object that stays."""
    reason, note = Reason.NOT_ASKED, "no longer in the catalog; --prune deletes them"
    if found is Standing.KEPT:
        reason, note = Reason.KEPT, "no longer in the catalog, and kept by its annotation"
    elif found is Standing.NEVER:
        kind, metadata = item["kind"], item["metadata"]
        within = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
        command = f"kubectl delete {kind.lower()} {metadata['name']}{within}"
        reason = Reason.NEVER
        note = f"no longer in the catalog, and never pruned: {NEVER_PRUNED[kind]}; if it is to go: `{command}`"
    return Left(identity(item), model_of(item), reason, note)


def untouched(item: Mapping[str, Any]) -> Left:
    """An object of a kind that a rollback leaves as it is."""
    note = f"not in what is gone back to, and left as it is: a rollback takes no {item['kind']} away"
    return Left(identity(item), model_of(item), Reason.SPARED, note)


def unseen(identity: str, why: str) -> Left:
    """What of the catalog's may be there and cannot be seen."""
    return Left(identity, None, Reason.UNSEEN, f"what is no longer in the catalog is not known here: {why}")


def identity(item: Mapping[str, Any]) -> str:
    """`NAMESPACE/KIND/NAME`, or `KIND/NAME` without a namespace."""
    metadata = item["metadata"]
    return "/".join(part for part in (metadata.get("namespace"), item["kind"], metadata["name"]) if part)


def model_of(item: Mapping[str, Any]) -> str | None:
    """The model whose object it was, by its labels; None for what was shared."""
    labels = item["metadata"].get("labels") or {}
    if labels.get("app.kubernetes.io/component") != "model":
        return None
    return str(labels.get("app.kubernetes.io/instance", "")) or None
