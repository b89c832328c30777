"""models.yaml as it may be recorded: without values of Secrets."""

from __future__ import annotations

import json
from typing import Any

from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import plain

_MASK = "***"


def public(text: str) -> str:
    """models.yaml to be stored: as it is, or where it has values of Secrets, written anew without them and comments.

    By design it has none. But an object under `extra` may be a Secret, and a patch may be one's.
    """
    if "Secret" not in text and "\\" not in text:
        # Neither as it is nor in escapes: a large file need not be read for it.
        return text
    root, _ = parse(text, filename="")
    document = plain(root) if root is not None else None
    masked = _masked(document)
    return text if masked == document else json.dumps(masked, indent=2, ensure_ascii=False) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "Secret":
        return {key: _hidden(one) if key in {"data", "stringData"} else _patch(key, one) for key, one in value.items()}
    return {key: _masked(one) for key, one in value.items()}


def _patch(key: str, value: Any) -> Any:
    """A part of what is about a Secret: of a patch what it puts in."""
    if key == "merge" and isinstance(value, dict):
        return {name: _hidden(one) if name in {"data", "stringData"} else one for name, one in value.items()}
    if key == "json" and isinstance(value, list):
        return [
            {name: _hidden(one) if name == "value" else one for name, one in item.items()}
            if isinstance(item, dict)
            else item
            for item in value
        ]
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return value if value is None else _MASK
