"""Writes what a release of Llama Stack reads of a configuration, as JSON Schemas, from its own classes.

Run by a Python that has the release installed: `python record.py > 0.7.3.json`. The schemas stand in the repository
because the package does not: it wants Python 3.12 and 785 MB of dependencies. Llama Stack passes over keys that it
does not know; here they are errors, since a key that nothing reads is a mistake of ours.
"""

import importlib
import json
from importlib.metadata import version
from typing import Any

from llama_stack.core import datatypes
from llama_stack.core.distribution import get_provider_registry

USED = {
    "inference": ("remote::vllm", "inline::sentence-transformers"),
    "safety": ("inline::llama-guard",),
    "vector_io": ("inline::milvus", "remote::milvus"),
    "files": ("inline::localfs",),
    "file_processors": ("inline::pypdf",),
    "responses": ("inline::builtin",),
    "agents": ("inline::meta-reference",),
    "tool_runtime": ("inline::file-search", "inline::rag-runtime"),
}


def strict(schema: Any) -> Any:
    """No unknown keys; numbers also as text, as pydantic reads them."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    prose = {key for key in ("description", "title") if isinstance(schema.get(key), str)}
    made = {key: strict(value) for key, value in schema.items() if key not in prose}
    if made.get("type") == "integer":
        return {"anyOf": [made, {"type": "string", "pattern": "^[0-9]+$"}]}
    if made.get("type") == "object" and isinstance(made.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def configuration(path: str) -> Any:
    """The schema of a provider's configuration class, by its dotted name."""
    module, _, name = path.rpartition(".")
    return strict(getattr(importlib.import_module(module), name).model_json_schema(by_alias=True))


def main() -> None:
    """Print the schemas of the configuration as a whole and of each provider that wtsctl uses."""
    whole = getattr(datatypes, "StackConfig", None) or datatypes.StackRunConfig
    registry = {api.value: specs for api, specs in get_provider_registry().items()}
    providers = {
        f"{api} {kind}": configuration(registry[api][kind].config_class)
        for api, kinds in USED.items()
        for kind in kinds
        if kind in registry.get(api, {})
    }
    print(  # noqa: T201 - a program
        json.dumps(
            {"version": version("llama_stack"), "config": strict(whole.model_json_schema()), "providers": providers},
            sort_keys=True,
            separators=(",", ":"),
        )
    )


if __name__ == "__main__":
    main()
