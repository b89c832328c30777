"""What an object takes of its namespace's ResourceQuota."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from wtsctl.pods.made import Document, Scaled, each, most_replicas, overlap, whole_templates
from wtsctl.pods.requests import PODS, amount, limits, requests

CLAIMS = "persistentvolumeclaims"
STORAGE = "requests.storage"
# Extended resources such as GPUs have a quota on requests alone.
_LIMITED = frozenset(("cpu", "memory", "ephemeral-storage"))
# What an operator makes where nothing is said: llamastack/llama-stack-k8s-operator, api/v1alpha1.
_STACK_STORAGE = "10Gi"


def taken(doc: Document, scaled: Scaled, *, rollout: bool) -> dict[str, int]:
    """What an object takes at most, by the names that a quota has for it; `requests.cpu` in thousandths.

    Args:
        doc: the object.
        scaled: from `scaled_by`, of all objects.
        rollout: with the pods that a change of it adds for a time.

    Raises:
        ValueError: it is not what the API server would take for one of its kind.
    """
    found: defaultdict[str, int] = defaultdict(int)
    for size in _claims(doc):
        found[CLAIMS] += 1
        found[STORAGE] += size
    made = whole_templates(doc)
    copies = most_replicas(doc, scaled) if made else 0
    for claim in _of_each(doc):
        found[CLAIMS] += copies
        found[STORAGE] += copies * claim
    copies += overlap(doc, copies) if made and rollout else 0
    for template in made:
        count = copies * each(doc, template)
        for name, value in requests(template.spec).items():
            found[name if name == PODS else f"requests.{name}"] += count * value
        for name, value in limits(template.spec).items():
            if name in _LIMITED:
                found[f"limits.{name}"] += count * value
    return dict(found)


def _claims(doc: Document) -> list[int]:
    """The sizes of the volumes that an object asks for, itself or through its operator."""
    if doc.get("kind") == "PersistentVolumeClaim":
        return [_size(doc)]
    if doc.get("kind") == "LlamaStackDistribution":
        server = (doc.get("spec") or {}).get("server") or {}
        storage = server.get("storage")
        return [amount("storage", storage.get("size", _STACK_STORAGE))] if storage else []
    return []


def _of_each(doc: Document) -> list[int]:
    """The sizes of the volumes that each replica asks for."""
    if doc.get("kind") != "StatefulSet":
        return []
    return [_size(claim) for claim in doc["spec"].get("volumeClaimTemplates") or ()]


def _size(claim: Mapping[str, Any]) -> int:
    try:
        return amount("storage", claim["spec"]["resources"]["requests"]["storage"])
    except (KeyError, TypeError):
        raise ValueError("spec.resources.requests.storage: expected the size of the volume") from None
