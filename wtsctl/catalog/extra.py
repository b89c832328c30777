"""Objects under `extra`: whatever Kubernetes takes, as long as it can be told apart and holds no secret."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator

_API_VERSION = re.compile(r"([a-z0-9][a-z0-9.-]*/)?v[a-z0-9]+")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAME = re.compile(r"(?!\.{1,2}$)[^/%\s]+")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def _object(item: dict[str, Any]) -> dict[str, Any]:
    """The object, if it is one that can be deployed and found again."""
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for what, value, form in (
        ("apiVersion", item.get("apiVersion"), _API_VERSION),
        ("kind", item.get("kind"), _KIND),
        ("metadata.name", metadata.get("name"), _NAME),
    ):
        if not isinstance(value, str) or not form.fullmatch(value):
            got = "nothing" if value is None else repr(value)[:60]
            raise ValueError(f"expected a Kubernetes object with a valid {what}, got {got}")
    namespace = metadata.get("namespace")
    if namespace is not None and not (isinstance(namespace, str) and _NAMESPACE.fullmatch(namespace)):
        raise ValueError(f"expected the name of a namespace as metadata.namespace, got {namespace!r:.60}")
    labels = metadata.get("labels")
    if labels is not None and not isinstance(labels, dict):
        raise ValueError(f"expected a mapping as metadata.labels, got {labels!r:.60}")
    if item["kind"] == "List" or (item["kind"].endswith("List") and isinstance(item.get("items"), list)):
        raise ValueError("a list is no object of its own; write its items each by itself")
    if (item["apiVersion"], item["kind"]) == ("v1", "Secret") and ("data" in item or "stringData" in item):
        raise ValueError("a Secret with its values has no place in models.yaml; name where they come from in `secrets`")
    try:
        json.dumps(item, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise ValueError("holds a number or a character that JSON cannot carry") from error
    return item


ExtraObject = Annotated[dict[str, Any], AfterValidator(_object)]
