"""The YAML that wtsctl writes says the same to every reader, and the YAML it reads means what kubectl means."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from wtsctl.render.skeleton import Json, Shapes, Slots
from wtsctl.render.yamltext import dump, parse, to_json

# Strings that YAML 1.1, YAML 1.2 or Go's readers take for something else when they stand without quotes.
MISREAD = [
    "yes", "No", "ON", "off", "y", "N", "true", "False", "null", "~", "", "8e3", "8E3", "1e-5", "1_000", "0755", "0o17",
    "0x1F", "0b11", "+1", "-1", "1.", ".5", "1.5", ".inf", "-.INF", ".nan", "1:30", "190:20:30.15", "2026-11-23",
    "2026-11-23T10:00:00Z", "=", "<<", "- a", "-", "---", "...", "? a", ": a", "a: b", "a:", "a #b", "#a", "&a", "*a",
    "!a", "|", ">", "%a", "@a", "`a", "'", '"', "[a", "{a", "a\tb", " a", "a ", "a\n", "\na", "a\n\n", "a\n b", " a\nb",
    "a\n  \nb", "a\rb", "a\x85b", "a\u2028b", "\ufeffa", "a\x7fb", "a\x00b", "\ud7ff", "\U0001f600", "a\n---\nb",
    "0.0.0.0", "1Gi",
]  # fmt: skip
TEXT = st.text() | st.sampled_from(MISREAD) | st.text("ab \n-:#", max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Plain data with these leaves."""
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
    )


PLAIN = st.none() | st.booleans() | st.integers() | TEXT
VALUES = values(PLAIN | FLOATS)


@given(st.lists(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), max_size=3))
@example([{"a": MISREAD}, {text: text for text in MISREAD}])
def test_what_is_written_reads_back(documents: list[dict[str, Any]]) -> None:
    """Every document comes back as it was."""
    assert parse(dump(documents)) == documents


@given(st.dictionaries(TEXT, values(PLAIN), min_size=1, max_size=4))
@example({text: text for text in MISREAD})
def test_yaml_1_1_reads_the_same(document: dict[str, Any]) -> None:
    """PyYAML, which has dates, base-60 numbers and more truth values, reads the same as well.

    Numbers with an exponent are left out: PyYAML wants a dot in them, Go does not.
    """
    assert yaml.safe_load(dump([document])) == document


@given(VALUES)
def test_json_is_yaml(value: Any) -> None:
    """What `tojson` writes is one line and reads back as the value, as JSON and as YAML."""
    text = to_json(value)
    assert "\n" not in text
    assert parse(f"a: {text}") == [{"a": value}]


@pytest.mark.parametrize("text", MISREAD)
def test_misread_strings_are_quoted_or_literal(text: str) -> None:
    """None of these stands plain: the line has quotes, or the string is a literal block."""
    line = dump([{"a": text}]).splitlines()[0]
    assert line.startswith('a: "') or line in {"a: |", "a: |-"} or (text == "1Gi" and line == "a: 1Gi")


@pytest.mark.parametrize(
    "text",
    ["vllm", "vllm/vllm-openai:v0.33.0", "nvidia.com/gpu", "/health", "--metrics", "500m", "64Gi", "http://a.b:80/v1"],
)
def test_ordinary_strings_stay_readable(text: str) -> None:
    """Names, images, paths, flags and quantities have no quotes."""
    assert dump([{"a": text}]) == f"a: {text}\n"


def test_layout_is_that_of_kubectl() -> None:
    """Block style; a list is not indented below its key; several lines are a literal block; empty parts are flow."""
    document = {"a": [{"b": 1, "c": [2]}, "x", [], [[3], {}]], "d": {"e": "one\ntwo\n", "f": "one\n\ntwo"}, "g": {}}
    assert dump([document, {"h": None}]) == (
        "a:\n- b: 1\n  c:\n  - 2\n- x\n- []\n- - - 3\n  - {}\n"
        "d:\n  e: |\n    one\n    two\n  f: |-\n    one\n\n    two\ng: {}\n---\nh: null\n"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-23", "2026-11-23"), ("1:30", "1:30"), ("1e3", 1000.0), ("1E+2", 100.0), ("8.", 8.0), ("0755", 493),
        ("1_000", 1000), ("0x10", 16), ("yes", True), ("Off", False), ("y", True), ("~", None), ("", None),
        ("'yes'", "yes"), ("089", 89.0),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_kubectl_means(text: str, value: object) -> None:
    """No dates and no base-60 numbers, but exponents without a dot: as kubectl 1.32 read each of them."""
    (document,) = parse(f"a: {text}\n")
    assert document == {"a": value}
    assert type(document["a"]) is type(value)


@given(st.lists(VALUES, min_size=6, max_size=6), st.lists(VALUES, min_size=6, max_size=6))
@example([[], {}, [[]], [{}], {"a": []}, "a\nb"], [[{"a": 1}], [["x"]], {"a": {"b": "c\nd\n"}}, None, "y", ""])
def test_values_in_a_known_text_are_written_as_ever(first: list[Any], second: list[Any]) -> None:
    """A document that is written from its template's text and its values is what `dump` makes of the document."""
    shapes = Shapes()
    for values in (first, second, first):
        slots = Slots()
        gaps = [slots.add(Json(to_json(value))) for value in values]
        text = (
            f"a: {gaps[0]}\nb:\n- {gaps[1]}\n- x\n- k: {gaps[2]}\n  l: 1\n- - {gaps[3]}\n"
            f"c:\n  d: {gaps[4]}\ne: end\n---\nf: {gaps[5]}\n"
        )
        documents = shapes.documents(text, slots)
        assert dump(documents) == dump([dict(one) for one in documents])
        assert documents[1] == {"f": values[5]}
