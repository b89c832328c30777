"""YAML itself: what is no YAML, what YAML allows and a catalog does not, and that both parsers say the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.catalogs import SMALL, STACK, changed, complaint, loaded
from wtsctl.catalog.load import load
from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import Mapping, Node, Scalar, Sequence, plain
from wtsctl.errors import CatalogError

ROOT = Path(__file__).resolve().parents[2]
START = "a catalog starts with `apiVersion: wtsctl/v1`; docs/reference/models-yaml.md lists its keys"
BOTH = pytest.mark.parametrize("parser", ["libyaml", "pure"] if yaml.__with_libyaml__ else ["pure"])

BROKEN = {
    "empty": ("", f"models.yaml: the file is empty\n  hint: {START}"),
    "comments only": ("# nothing\n", f"models.yaml: the file is empty\n  hint: {START}"),
    "list at the top": ("- a\n", f"models.yaml:1:1: expected a mapping, got a list\n  hint: {START}"),
    "text at the top": ("hello\n", f"models.yaml:1:1: expected a mapping, got 'hello'\n  hint: {START}"),
    "no colon": (
        "a: 1\nfoo\nb: 2\n",
        "models.yaml:3:1: not valid YAML: could not find expected ':'\n  hint: is there a ':' missing at line 2?",
    ),
    "two colons": (
        "a: b: c\n",
        (
            "models.yaml:1:5: not valid YAML: mapping values are not allowed CONTEXT\n"
            "  hint: check the indentation, and put text that holds ': ' in quotes"
        ),
    ),
    "tab": (
        "a:\n\tb: 1\n",
        (
            "models.yaml:2:1: not valid YAML: found character TAB that cannot start any token\n"
            "  hint: indent with spaces; YAML allows no tabs there"
        ),
    ),
    "open quote": (
        "a: 'x\n",
        "models.yaml:1:6: not valid YAML: found unexpected end of stream\n  hint: the quote at line 1 is not closed",
    ),
    "not printable": (
        "a: 1\nb: \x00",
        (
            "models.yaml:2:4: character U+0000 is not allowed\n"
            '  hint: is this a text file? In double quotes, "\\u0000" stands for this character'
        ),
    ),
    "line break of YAML 1.1": (
        "# a\u2028b\na: 1\n",
        (
            "models.yaml:1:4: character U+2028 is not allowed\n"
            '  hint: is this a text file? In double quotes, "\\u2028" stands for this character'
        ),
    ),
    "unknown alias": ("a: *x\n", "models.yaml:1:4: the alias *x refers to no anchor &x before it"),
    "alias in itself": ("a: &x [*x]\n", "models.yaml:1:8: the alias *x stands inside its own anchor &x"),
    "two documents": ("a: 1\n---\nb: 2\n", "models.yaml:2:1: a second document starts here; a catalog is one document"),
    "deep": ("[" * 100_000, "models.yaml:1:65: nested deeper than 64 levels, which no catalog is"),
    "deep by aliases": (
        "".join(f"a{n}: &a{n} {'[' * 40}{f'*a{n - 1}' if n else 'x'}{']' * 40}\n" for n in range(2)),
        "models.yaml:2:49: aliases nest deeper than 64 levels, which no catalog does",
    ),
    "alias bomb": (
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "models.yaml:6:26: more than 500,000 values with aliases expanded, which no catalog has",
    ),
    "too long": ("#" * 8_000_001, "models.yaml:1:1: longer than 8,000,000 characters, which no catalog is"),
}


@BOTH
@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_catalog_at_all_is_one_message(text: str, expected: str, parser: str) -> None:
    """A text that cannot be read on gives one message, at the same place with either parser."""
    with pytest.raises(CatalogError) as caught:
        load(text, filename="models.yaml", parser=parser)
    # The two parsers differ in these words only.
    words = {"CONTEXT": ("in this context", "here"), "TAB ": ("", "'\\t' ")}
    for mark, forms in words.items():
        expected = expected.replace(mark, forms[parser == "pure"])
    assert str(caught.value) == expected


def test_equal_keys_are_reported_with_both_lines() -> None:
    """PyYAML would silently keep the last of two equal keys; each such pair is a problem."""
    text = changed(
        ("  role: code\n", "  role: code\n  role: chat\n"), ("  safety: llama-guard\n", "  safety: x\n  safety: x\n")
    )
    lines = complaint(text).splitlines()
    assert lines[:2] == [
        "models.yaml:12:3: models[0]: duplicate key 'role', first at line 11",
        "  hint: keep one of the two",
    ]
    assert "models.yaml:35:3: llamaStack: duplicate key 'safety', first at line 34" in lines


def test_only_plain_tags() -> None:
    """No tag makes an object, runs code or reads a file; each is named at its place."""
    text = changed(("role: code", "role: !!python/object/apply:os.system [touch /tmp/x]"))
    assert complaint(text).splitlines() == [
        "models.yaml:11:3: models[0].role: expected chat, code, docs or safety, got a list",
        "models.yaml:11:9: models[0].role: the tag !!python/object/apply:os.system is not supported",
        "  hint: text, numbers, true, false, lists and mappings only",
    ]


def test_keys_are_text() -> None:
    """A key that YAML reads as a number or a list is named, and told how to write it."""
    assert complaint(changed(("role: code", "role: code\n  8: x"))) == (
        'models.yaml:12:3: models[0]: expected text as a key, got 8\n  hint: put it in quotes: "8"'
    )


def test_anchors_and_merge_keys() -> None:
    """`&`, `*` and `<<` work as elsewhere: own keys win, and an error points to where the value is written."""
    big = "{requests: &r {cpu: 4, memory: 16Gi}, limits: {<<: *r, cpu: 8}}"
    text = changed(("{requests: {cpu: 4, memory: 16Gi}, limits: {cpu: 8, memory: 16Gi}}", big))
    catalog = loaded(text)
    limits = catalog.catalog.models[0].resources.limits
    assert (limits.cpu, limits.memory) == ("8", "16Gi")
    assert catalog.where("models", 0, "resources", "limits", "memory") == "models.yaml:13:45"


def test_plain_words_are_those_of_yaml_1_2() -> None:
    """`no` and `on` are text and `1:30` is no sexagesimal number, as editors and Kubernetes-side tools read them."""
    root, problems = parse("[no, on, 1:30, 010, 0x10, 0o10, 1.5, .inf, true, ~, '1', 2026-11-23]", filename="x")
    assert root is not None
    assert plain(root) == ["no", "on", "1:30", 10, 16, 8, 1.5, float("inf"), True, None, "1", "2026-11-23"]
    assert problems == []


def _positions(node: Node) -> list[tuple[int, int]]:
    if isinstance(node, Mapping):
        return [node.at] + [at for key, value in node.entries.values() for at in (key, *_positions(value))]
    if isinstance(node, Sequence):
        return [node.at] + [at for item in node.items for at in _positions(item)]
    assert isinstance(node, Scalar)
    return [node.at]


@pytest.mark.parametrize("text", [SMALL + STACK, (ROOT / "models.yaml").read_text()], ids=["small", "models.yaml"])
def test_both_parsers_give_the_same_tree(text: str) -> None:
    """Libyaml's parser and the pure one agree on every value and every position."""
    assert parse(text, filename="x", parser="pure") == parse(text, filename="x")


@given(st.text(alphabet=st.sampled_from(list(" \n-:[]{}&*!|>'\"#%@`?,ab1~<\té\x85\u2028\ufeff")), max_size=60))
def test_nothing_but_a_catalog_error(text: str) -> None:
    """Whatever the text, loading it ends in a catalog error that says where, inside the file."""
    with pytest.raises(CatalogError) as caught:
        load(text, filename="f")
    lines = text.split("\n")
    for problem in caught.value.problems:
        name, *position = problem.where.split(":")
        assert name == "f"
        if position and "\r" not in text:
            line, column = map(int, position)
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1


@given(st.text(max_size=40), st.sampled_from((SMALL + STACK).splitlines()))
def test_any_text_in_place_of_a_value(text: str, line: str) -> None:
    """A catalog with any text after a colon loads, or fails with positions that lie in the file."""
    broken = (SMALL + STACK).replace(line, f"{line.partition(':')[0]}: {text}", 1)
    try:
        load(broken, filename="f")
    except CatalogError as error:
        for problem in error.problems:
            assert int(problem.where.split(":")[1]) <= len(broken.splitlines()) + 1


def test_positions_lie_in_the_file() -> None:
    """Every value of models.yaml stands where the tree says: the text at that place begins with it."""
    lines = (ROOT / "models.yaml").read_text().splitlines()
    root, _ = parse("\n".join(lines), filename="x")
    assert root is not None
    places = _positions(root)
    assert len(places) > 400
    for line, column in places:
        assert lines[line - 1][column - 1 : column].strip(), (line, column)


def test_five_hundred_models_load_fast() -> None:
    """500 models in 8,000 lines take well under a second of processor time, a profile included."""
    text = (ROOT / "models.yaml").read_text()
    start, end = text.index("- name: watt-8b"), text.index("- name: llama-guard-3-8b")
    entry = text[start:end]
    more = "".join(entry.replace("watt-8b", f"watt-8b-{number}") for number in range(495))
    before = time.process_time()
    catalog = load(text[:end] + more + text[end:], filename="models.yaml", profile="sandbox")
    assert len(catalog.workloads) == 500
    # Measured: 0.56 s on one of two busy cores.
    assert time.process_time() - before < 3
