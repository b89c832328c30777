"""The changes to rendered objects that stand under `patches` in models.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wtsctl.catalog.fault import Code, Path, format_path
from wtsctl.catalog.model import Patch
from wtsctl.errors import CatalogError, Problem
from wtsctl.render import kinds, merge
from wtsctl.render.job import Asked, Where
from wtsctl.render.yamltext import to_json

if TYPE_CHECKING:
    from wtsctl.render.manifest import Manifest

# What `status` and `delete` find an object by.
_OUR_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by")


def patched(manifests: Sequence[Manifest], asked: Asked, *, parts: bool) -> list[Manifest]:
    """The manifests with the patches of the entries that they belong to applied, in the order of models.yaml.

    Args:
        manifests: what was rendered.
        asked: what was asked for.
        parts: whether parts of objects that somebody else owns are among the manifests.

    Raises:
        CatalogError: patches that match no object, cannot be applied, or change which object it is; all at once.
    """
    changed = list(manifests)
    problems: list[Problem] = []
    for entry, folder, patches in _patches(asked, parts=parts):
        for index, patch in enumerate(patches):
            path: Path = (*entry, "patches", index)
            matching = [at for at, one in enumerate(changed) if one.path == folder and _matches(patch, one)]
            if not matching and patch.kind not in asked.left_out:
                problems.append(_unmatched(patch, path, folder, changed, asked.where))
            for at in matching:
                try:
                    changed[at] = replace(changed[at], doc=_applied(patch, changed[at].doc))
                except merge.Unmergeable as error:
                    text = f"{format_path(path)}: cannot be applied to {changed[at].identity}: {error}"
                    problems.append(Problem(Code.PATCH, text, asked.where(*path)))
    if problems:
        raise CatalogError.of(problems)
    return changed


def _patches(asked: Asked, *, parts: bool) -> Iterator[tuple[Path, str, tuple[Patch, ...]]]:
    """For each entry that is rendered: its path in models.yaml, the folder of its objects, its patches."""
    chosen = {load.name for load in asked.chosen}
    for index, load in enumerate(asked.everything):
        if load.name in chosen:
            yield ("models", index), load.path, load.spec.patches
    if asked.stack:
        yield ("llamaStack",), asked.stack.path, asked.stack.patches
    for index, agent in enumerate(asked.agents):
        if agent.image is None and not parts:
            continue
        yield ("agents", index), agent.folder, agent.patches


def _matches(patch: Patch, manifest: Manifest) -> bool:
    return patch.kind == manifest.kind and patch.name in {None, manifest.name}


def _unmatched(patch: Patch, path: Path, folder: str, manifests: Sequence[Manifest], where: Where) -> Problem:
    own = [f"{one.kind} {one.name}" for one in manifests if one.path == folder]
    wanted = f"{patch.kind} {patch.name}" if patch.name else patch.kind
    hint = f"its objects are {', '.join(own)}" if own else "it has no objects"
    return Problem(Code.PATCH, f"{format_path(path)}: there is no {wanted} to patch", where(*path), hint)


def _applied(patch: Patch, before: Mapping[str, Any]) -> dict[str, Any]:
    """One object after one patch.

    Raises:
        merge.Unmergeable: it cannot be applied, or makes another object of it.
    """
    if patch.merge is None:
        after: Any = _operated(patch, before)
    elif kinds.built_in(before["apiVersion"]):
        after = merge.strategic(before, patch.merge, merge.rules(before["apiVersion"], before["kind"]))
    else:
        after = _custom(patch.merge, before)
    _same_object(before, after)
    try:
        to_json(after)
    except ValueError as error:
        raise merge.Unmergeable(f"the result is no JSON: {error}") from error
    return dict(after)


def _custom(patch: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A merge into an object of a custom kind, as kubectl does it: a JSON merge patch."""

    def check(value: Any, at: str) -> None:
        for key, inner in value.items() if isinstance(value, dict) else ():
            if key.startswith("$"):
                text = f"{before['kind']} is a custom kind, whose lists are replaced as a whole"
                raise merge.Unmergeable(f"{at}{key} has no meaning here: {text}")
            check(inner, f"{at}{key}.")

    check(patch, "")
    merged = merge.json_merge(before, patch)
    return dict(merged)


def _operated(patch: Patch, before: Mapping[str, Any]) -> Any:
    import jsonpatch
    import jsonpointer

    operations = [one.model_dump(by_alias=True, exclude_unset=True) for one in patch.json_ or ()]
    done = 0
    after: Any = before
    for done, operation in enumerate(operations):
        try:
            after = jsonpatch.JsonPatch([operation]).apply(after)
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
            text = " ".join(str(error).split())
            raise merge.Unmergeable(f"json[{done}] ({operation['op']} {operation['path']}): {text:.200}") from error
    return after


def _same_object(before: Mapping[str, Any], after: Any) -> None:
    """Refuse what would make another object of it, or one that is found no more."""
    metadata = after.get("metadata") if isinstance(after, dict) else None
    if not isinstance(after, dict) or not isinstance(metadata, dict):
        raise merge.Unmergeable("the result is no Kubernetes object")
    pairs = [(key, before[key], after.get(key)) for key in ("apiVersion", "kind")]
    pairs += [(f"metadata.{key}", before["metadata"].get(key), metadata.get(key)) for key in ("name", "namespace")]
    labels = metadata.get("labels")
    new = labels if isinstance(labels, dict) else {}
    ours = before["metadata"].get("labels") or {}
    pairs += [(f"the label {key}", ours[key], new.get(key)) for key in _OUR_LABELS if key in ours]
    for what, old, changed in pairs:
        if old != changed:
            text = f"{what} would be {changed!r:.60} instead of {old!r:.60}"
            raise merge.Unmergeable(f"{text}, and it is by this that the object is found again")
