"""Whether the volumes that a deploy asks for can come to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.plan.preflight.facts import Facts, NotRead, Object, Step
from wtsctl.plan.preflight.record import Check, Record, error, idle, ok, skipped, warning

# The second is what clusters before 1.6 wrote, and some still do: k8s.io/component-helpers, storage/volume.
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")

STORAGE = Check(
    "storage-class",
    "storage",
    "there is a StorageClass for each new volume",
    "The StorageClasses, where a PersistentVolumeClaim is new; the PersistentVolumes only where a class is missing. A "
    "claim that is there already needs none. A class that binds once a pod is there (WaitForFirstConsumer) is well.",
    "An error: the claim names a class that is not there, or names none and the cluster has no default, and no "
    "PersistentVolume is free for it either. A warning: the same where PersistentVolumes may not be looked at, and one "
    "that was made by hand may be there.",
    "Name a class that there is (`cache.storageClass`), make one the default, or make a PersistentVolume by hand.",
    "kubernetes.io/docs/concepts/storage/persistent-volumes",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A volume that is asked for.

    Attributes:
        where: the object that asks.
        storage_class: None: the default; empty: none, so that only a volume made by hand will do.
    """

    where: str
    storage_class: str | None


def claims(steps: Sequence[Step]) -> list[Claim]:
    """The volumes that new objects ask for, themselves or by what they make."""
    return [claim for one in steps if one.new for claim in _of(one)]


def _of(step: Step) -> Iterator[Claim]:
    spec: Mapping[str, Any] = step.doc.get("spec") or {}
    if step.kind == "PersistentVolumeClaim":
        if not spec.get("volumeName"):
            yield Claim(step.identity, spec.get("storageClassName"))
    elif step.kind == "StatefulSet":
        for template in spec.get("volumeClaimTemplates") or ():
            yield Claim(step.identity, (template.get("spec") or {}).get("storageClassName"))
    elif step.kind == "LlamaStackDistribution" and (spec.get("server") or {}).get("storage") is not None:
        # Its spec has no field for a class, so the operator's claim has the default.
        yield Claim(step.identity, None)


def lacking(wanted: Sequence[Claim], classes: Sequence[Object]) -> list[Claim]:
    """The claims that no StorageClass makes a volume for."""
    names = {str(one["metadata"]["name"]) for one in classes}
    default = any(_is_default(one) for one in classes)
    return [one for one in wanted if not (default if one.storage_class is None else one.storage_class in names)]


def _is_default(item: Object) -> bool:
    annotations = item["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in _DEFAULT)


def storage(facts: Facts, steps: Sequence[Step]) -> Iterator[Record]:
    """Whether each new claim will get its volume."""
    wanted = claims(steps)
    if not wanted:
        yield idle(STORAGE, "no volume is new")
        return
    if isinstance(facts.classes, NotRead):
        yield skipped(STORAGE, facts.classes.why)
        return
    without = lacking(wanted, facts.classes)
    names = sorted(str(one["metadata"]["name"]) for one in facts.classes)
    there = f"the classes are {', '.join(names)}" if names else "there is no StorageClass"
    for one in without:
        if one.storage_class is None:
            text = f"it names no StorageClass, and the cluster has no default: {there}"
        elif one.storage_class:
            text = f"there is no StorageClass {one.storage_class}: {there}"
        else:
            text = "it asks for a volume that was made by hand"
        hint = "name a class that there is, make one the default, or make a PersistentVolume for it"
        if isinstance(facts.volumes, NotRead):
            text += f"; whether a PersistentVolume is free for it is not known: {facts.volumes.why}"
            yield warning(STORAGE, text, one.where, hint)
        elif not any(_free(volume, one) for volume in facts.volumes):
            yield error(STORAGE, f"{text}; and no PersistentVolume is free for it", one.where, hint)
        else:
            yield ok(STORAGE, "no class makes its volume, and a PersistentVolume is free for it", one.where)
    if len(wanted) > len(without):
        used = sorted({one.storage_class or "the default" for one in wanted if one not in without})
        yield ok(STORAGE, ", ".join(used))


def _free(volume: Object, claim: Claim) -> bool:
    phase, kept = (volume.get("status") or {}).get("phase"), volume["spec"].get("claimRef")
    if kept and f"{kept.get('namespace')}/PersistentVolumeClaim/{kept.get('name')}" != claim.where:
        return False
    return phase == "Available" and (volume["spec"].get("storageClassName") or "") == (claim.storage_class or "")
