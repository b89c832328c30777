"""The published JSON Schema: current, true to the loader, and good for editors."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.catalogs import SMALL, STACK, changed, loaded
from tests.unit.test_catalog_shape import WRONG
from wtsctl.catalog.load import load
from wtsctl.catalog.schema import catalog_schema
from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import plain

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = catalog_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
# What one value cannot tell by itself, and what JSON Schema has no word for.
BEYOND = {"milli for mega", "request over limit", *(case for case in WRONG if case.startswith("regular expression"))}


def plainly(text: str) -> Any:
    """The document as the loader reads it."""
    root, problems = parse(text, filename="models.yaml")
    assert root is not None
    assert not problems
    return plain(root)


def test_it_is_a_schema() -> None:
    """It is valid by its own dialect, draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", ["models.schema.json", "models-yaml.md"])
def test_the_committed_pages_are_current(name: str) -> None:
    """The schema and the reference page are what the types give; `make docs` writes them again."""
    generate = runpy.run_path(str(ROOT / "docs/reference/generate.py"))
    page = (ROOT / "docs/reference" / name).read_text()
    assert generate["PAGES"][name](page) == page


@pytest.mark.parametrize("text", [SMALL + STACK, (ROOT / "models.yaml").read_text()], ids=["small", "models.yaml"])
def test_what_the_loader_takes_it_takes(text: str) -> None:
    """A catalog without problems validates, the repository's own included."""
    load(text, filename="models.yaml")
    assert [error.message for error in VALIDATOR.iter_errors(plainly(text))] == []


def test_models_yaml_names_its_schema() -> None:
    """The repository's models.yaml tells editors where the schema lies."""
    first = (ROOT / "models.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=docs/reference/models.schema.json"


@pytest.mark.parametrize("case", sorted(WRONG.keys() - BEYOND))
def test_what_the_loader_refuses_by_shape_it_refuses(case: str) -> None:
    """A wrong kind, range, word, form or key is wrong for an editor too."""
    assert not VALIDATOR.is_valid(plainly(changed(WRONG[case][0])))


@pytest.mark.parametrize(
    "profile",
    [
        {"models": [{"name": "granite-8b", "gpus": "two"}]},
        {"models": [{"gpus": 2}]},
        {"eachModel": {"name": "x"}},
        {"eachModel": {"gpu": 2}},
        {"apiVersion": "wtsctl/v1"},
        {"defaults": {"images": {"vllm": 5}}},
        {"descripton": "x"},
        {"agents": [{"name": "a", "via": "pigeon"}]},
        [],
    ],
)
def test_wrong_profiles_are_refused(profile: Any) -> None:
    """A profile is checked as a part of a catalog: nothing need be there, but what is there has its form."""
    document = {**plainly(SMALL), "profiles": {"p": profile}}
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(Exception, match="profiles"):
        load(yaml.safe_dump(document), filename="models.yaml")


@pytest.mark.parametrize(
    "profile",
    [
        None,
        {},
        {"description": None, "secrets": None, "cache": None},
        {"defaults": {"images": {"llamacpp": "x:1"}}},
        {"defaults": {"gpu": {"product": None}}},
        {"models": [{"name": "granite-8b", "resources": {"limits": {"cpu": 9}}}]},
        {"eachModel": {"parallel": None, "gpus": 1}},
    ],
)
def test_partial_profiles_are_taken(profile: Any) -> None:
    """What a profile leaves out comes from the base, at any depth; null takes a key away."""
    document = {**plainly(SMALL), "profiles": {"p": profile}}
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert loaded(yaml.safe_dump(document), "p").profile == "p"


def test_every_key_is_described() -> None:
    """An editor shows a description for each key of each entry."""
    entries = {"": SCHEMA, **SCHEMA["$defs"]}
    bare = [
        f"{name}.{key}"
        for name, entry in entries.items()
        for key, value in entry.get("properties", {}).items()
        if not value.get("description")
    ]
    assert bare == []


def test_every_definition_is_used() -> None:
    """The schema carries nothing that no key leads to."""
    text = json.dumps(SCHEMA)
    assert [name for name in SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text] == []
