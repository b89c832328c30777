"""What the shell offers for names of models, profiles and templates: read quickly, and never with an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# typer hands the context over by this annotation.
from typer import Context

if TYPE_CHECKING:
    from wtsctl.catalog.tree import Node

# A catalog that takes longer to read than a person waits for a key.
_MAX_BYTES = 2_000_000


def models(context: Context, incomplete: str) -> list[str]:
    """The names and aliases of the catalog's models that begin so, but for those that are there already."""
    given = context.params.get("models") or ()
    found = (name for entry in _listed(_catalog(context), "models") for name in _names(entry))
    return [name for name in found if name.startswith(incomplete) and name not in given]


def profiles(context: Context, incomplete: str) -> list[str]:
    """The names of the catalog's profiles that begin so."""
    from wtsctl.catalog.tree import Mapping

    root = _catalog(context)
    variants = root.get("profiles") if isinstance(root, Mapping) else None
    names = list(variants.entries) if isinstance(variants, Mapping) else []
    return [name for name in names if name.startswith(incomplete)]


def templates(context: Context, incomplete: str) -> list[str]:
    """The names of the built-in templates that begin so, but for those that are there already."""
    from wtsctl.commands.inputs import read_templates

    given = context.params.get("names") or ()
    return [name for name in read_templates(None) if name.startswith(incomplete) and name not in given]


def checks(incomplete: str) -> list[str]:
    """The names of the checks before a deploy that begin so."""
    from wtsctl.plan.preflight.check import BY_NAME

    return [name for name in ("all", *BY_NAME) if name.startswith(incomplete)]


def _catalog(context: Context) -> Node | None:
    """The catalog as far as it can be read; pressing a key is no time for an error."""
    from wtsctl.catalog.source import parse

    file = Path(str(context.params.get("file") or "models.yaml"))
    try:
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:
            return None
        return parse(file.read_text(encoding="utf-8"), filename=str(file))[0]
    except Exception:  # noqa: BLE001 - whatever is wrong with the file, the command that follows says it
        return None


def _listed(root: Node | None, key: str) -> tuple[Any, ...]:
    from wtsctl.catalog.tree import Mapping, Sequence

    listed = root.get(key) if isinstance(root, Mapping) else None
    return listed.items if isinstance(listed, Sequence) else ()


def _names(entry: Node) -> Iterator[str]:
    from wtsctl.catalog.tree import Mapping, Scalar, Sequence

    if not isinstance(entry, Mapping):
        return
    aliases = entry.get("aliases")
    for node in (entry.get("name"), *(aliases.items if isinstance(aliases, Sequence) else ())):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            yield node.value
