"""The JSON Schema of models.yaml, made from its types, for editors and for whoever generates a catalog."""

from __future__ import annotations

import copy
import json
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.profile import DESCRIPTION, EACH_MODEL, MERGED_BY_NAME, PROFILES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARTIAL = "Partial"


def catalog_schema() -> dict[str, Any]:
    """A draft 2020-12 schema of a whole models.yaml, `profiles` included.

    It holds what one value can tell by itself: keys, kinds, ranges, forms. References between entries, and what a
    profile yields once it is merged, only `wtsctl` itself can check.
    """
    made = Catalog.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = made.pop("$defs")
    definitions["Catalog"] = made
    for definition in definitions.values():
        _tidy(definition)
    entries = {name for name, definition in definitions.items() if definition["type"] == "object"}
    for name in entries:
        definitions[f"{name}{_PARTIAL}"] = _partial(definitions[name], entries)
    definitions["EachModel"] = _each_model(definitions[f"Model{_PARTIAL}"])
    definitions["Profile"] = _profile(definitions.pop(f"Catalog{_PARTIAL}"))
    for key in MERGED_BY_NAME:
        named, whole = definitions[_partial_entry(key)], definitions[_partial_entry(key).removesuffix(_PARTIAL)]
        named["required"] = ["name"]
        named["properties"]["name"] = whole["properties"]["name"]
    root = definitions.pop("Catalog")
    root["properties"][PROFILES] = {
        "type": ["object", "null"],
        "description": "variants of this catalog, each merged over it by `--profile NAME`",
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Profile"}, {"type": "null"}]},
    }
    schema = {
        "$schema": DIALECT,
        "title": "models.yaml",
        **root,
        "description": "What wtsctl serves, where, and what it has to answer.",
    }
    used = _referred(schema, definitions)
    return {**schema, "$defs": {name: definitions[name] for name in sorted(used)}}


def _partial_entry(key: str) -> str:
    """The definition of an entry of `models` or `agents` inside a profile."""
    return f"{key[:-1].capitalize()}{_PARTIAL}"


def _referred(schema: Any, definitions: dict[str, Any], seen: set[str] | None = None) -> set[str]:
    """The names of all definitions that `schema` leads to."""
    seen = set() if seen is None else seen
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "$ref":
            name = value.rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                _referred(definitions[name], definitions, seen)
        elif isinstance(value, (dict, list)):
            _referred(value, definitions, seen)
    return seen


def _tidy(entry: dict[str, Any]) -> None:
    """Take away the titles that pydantic derives from names, and let null stand for a key that is not there."""
    entry.pop("title", None)
    required = entry.get("required", ())
    for key, value in entry.get("properties", {}).items():
        value.pop("title", None)
        if "patternProperties" in value:
            value["patternProperties"] = {form: _or_null(item) for form, item in value["patternProperties"].items()}
            value["additionalProperties"] = False
        if key not in required:
            entry["properties"][key] = _or_null(value)


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    """The same schema, which also takes null; with a list of types where there is one, as editors show that best."""
    choices = [choice for choice in value.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        notes = {key: item for key, item in value.items() if key != "anyOf"}
        # A default of null says nothing that "not required" does not.
        value = {**choices[0], **{key: item for key, item in notes.items() if (key, item) != ("default", None)}}
    if "type" not in value or "enum" in value or "const" in value:
        notes = {key: item for key, item in value.items() if key in ("description", "default")}
        return {"anyOf": [{key: item for key, item in value.items() if key not in notes}, {"type": "null"}], **notes}
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return {**value, "type": [*(name for name in types if name != "null"), "null"]}


def _partial(entry: dict[str, Any], entries: set[str]) -> dict[str, Any]:
    """The same entry where nothing has to be there, as inside a profile."""
    partial = copy.deepcopy({key: value for key, value in entry.items() if key != "required"})
    for key, value in partial["properties"].items():
        value.pop("default", None)
        partial["properties"][key] = _refer(_or_null(value), entries)
    return partial


def _refer(value: Any, entries: set[str]) -> Any:
    """The same schema with every entry it refers to taken as partial, except those of lists, which are replaced."""
    if isinstance(value, list):
        return [_refer(item, entries) for item in value]
    if not isinstance(value, dict) or "array" in value.get("type", ()):
        return value
    if "$ref" in value and value["$ref"].rpartition("/")[2] in entries:
        value = {**value, "$ref": f"{value['$ref']}{_PARTIAL}"}
    return {key: _refer(item, entries) for key, item in value.items()}


def _each_model(model: dict[str, Any]) -> dict[str, Any]:
    each = copy.deepcopy(model)
    del each["properties"]["name"]
    each["description"] = "Laid over every model, before the profile's own entries."
    return each


def _profile(catalog: dict[str, Any]) -> dict[str, Any]:
    """What a profile may say: any part of the catalog but its version, and two keys of its own."""
    catalog["description"] = "A variant of the catalog."
    properties = catalog["properties"]
    del properties["apiVersion"]
    for key in MERGED_BY_NAME:
        properties[key]["items"] = {"$ref": f"#/$defs/{_partial_entry(key)}"}
    catalog["properties"] = {
        DESCRIPTION: {"type": ["string", "null"], "description": "what the variant is for"},
        EACH_MODEL: {
            "anyOf": [{"$ref": "#/$defs/EachModel"}, {"type": "null"}],
            "description": "laid over every model, before the profile's own `models`",
        },
        **properties,
    }
    return catalog


def schema_text(schema: dict[str, Any]) -> str:
    """The schema as a file: the same bytes wherever it is made."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
