"""Templates are the user's own: every mistake in one is named with file, line and hint, and none can do harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalogs import SMALL, loaded
from wtsctl.commands.inputs import read_templates
from wtsctl.errors import ExitCode, TemplateError, UsageError
from wtsctl.render.manifest import render
from wtsctl.render.templates import Engine, TemplateText, lay_over

NAME = "vllm/service.yaml.j2"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"


def complaint(text: str, others: dict[str, str] | None = None) -> str:
    """What rendering the small catalog says when this text stands for vLLM's Service."""
    templates = read_templates(None) | {NAME: TemplateText(text, "mine/vllm/service.yaml.j2")} | (others or {})
    with pytest.raises(TemplateError) as caught:
        render(loaded(SMALL).catalog, templates)
    assert caught.value.exit_code is ExitCode.CATALOG
    assert "/tmp" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\n{% if %}\n", 2, "Expected an expression"),
        ("a: 1\n\n{{ model.name | toyaml }}\n", 3, "No filter named 'toyaml'"),
        ("{% for x in y %}\n", 1, "Unexpected end of template"),
        (OBJECT + "x: {{ modle.name | tojson }}\n", 4, "'modle' is undefined"),
        (OBJECT + "\n\nx: {{ model.nmae | tojson }}\n", 6, "has no attribute 'nmae'"),
        ("a: {{ 1 + 'x' }}\n", 1, "TypeError"),
        ("a: {{ model.__class__ }}\n", 1, "unsafe"),
        ("a: {{ ''.__class__.__mro__ }}\n", 1, "unsafe"),
        ("a: {{ model.args.append('x') }}\n", 1, "unsafe"),
        ("a: {{ model.update({}) }}\n", 1, "unsafe"),
        ("a: {{ 2 ** 100000000 }}\n", 1, "switched off"),
        ("a: {{ 'x' * 1000000000 }}\n", 1, "a repetition is longer than 100,000"),
        ("a: {{ [0] * 1000000000 }}\n", 1, "a repetition is longer than 100,000"),
        ("{% for i in range(1000000000) %}x{% endfor %}\n", 1, "more than 100,000 turns"),
        ("\n{% for i in range(1000) %}{% for j in range(1000) %}x{% endfor %}{% endfor %}\n", 2, "100,000 turns"),
        ("{% for i in range(90000) %}{{ 'x' * 99 }}{% endfor %}\n", 1, "longer than 1,500,000 characters"),
        ("{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}\n", 2, "calls itself without end"),
        ("{{ 'x' | center(1000000000) }}\n", 1, "No filter named 'center'"),
        ("{{ 'x' | indent(1000000000, true) }}\n", 1, "a width is more than 100,000"),
        ("{{ '%1000000000d' | format(1) }}\n", 1, "No filter named 'format'"),
        ("{{ '{:>1000000000}'.format(1) }}\n", 1, "not safely callable"),
        ("{{ '%1000000000d' % 1 }}\n", 1, "switched off"),
        ("{{ 'x'.ljust(1000000000) }}\n", 1, "not safely callable"),
        ("{{ [1, 2] | random }}\n", 1, "No filter named 'random'"),
        ("{{ lipsum() }}\n", 1, "'lipsum' is undefined"),
        ("a: {{ model.image | tojson | from_json }}\n", 1, "No filter named 'from_json'"),
        ("x\n{% include 'nothing.j2' %}\n", 2, "there is no template nothing.j2"),
        ("x\n{% include '/etc/passwd' %}\n", 2, "there is no template /etc/passwd"),
    ],
)  # fmt: skip
def test_mistake_is_named_with_its_line(text: str, line: int, what: str) -> None:
    """Syntax errors, names that do not exist, forbidden things and runaways end in file, line and reason."""
    message = complaint(text)
    assert message.startswith(f"mine/vllm/service.yaml.j2:{line}: "), message
    assert what in message
    assert "\n  hint: " in message


def test_mistake_in_an_included_file_is_found_there() -> None:
    """The line is that of the included template, not of the one that includes it."""
    message = complaint("{% include 'vllm/_part.j2' %}\n", {"vllm/_part.j2": "\n\n{{ nothing }}\n"})
    assert message.startswith("templates/vllm/_part.j2:3: 'nothing' is undefined")
    message = complaint("{% include 'vllm/_part.j2' %}\n", {"vllm/_part.j2": "\n{% endif %}\n"})
    assert message.startswith("templates/vllm/_part.j2:2: Encountered unknown tag 'endif'")


def test_builtin_template_is_named_as_in_the_repository() -> None:
    """A template that is not from an overlay is called templates/NAME, wherever it is installed."""
    templates = read_templates(None) | {NAME: "{{ x }}"}
    with pytest.raises(TemplateError, match=f"templates/{NAME}:1: 'x' is undefined"):
        render(loaded(SMALL).catalog, templates)


@pytest.mark.parametrize(
    ("text", "line", "problem", "shown"),
    [
        (OBJECT + "spec:\n  a: b: c\n", 5, "mapping values are not allowed", "a: b: c"),
        (OBJECT + "kind: Secret\n", 4, "the key kind stands twice", "kind: Secret"),
        (OBJECT + "yes: 1\n", 4, "the key yes reads as a bool; quote it", "yes: 1"),
        (OBJECT + "1: 1\n", 4, "the key 1 reads as a int; quote it", "1: 1"),
        (OBJECT + "a: [1\n", 5, "expected ',' or ']'", "the end of the text"),
        (OBJECT + "\ta: 1\n", 4, "cannot start any token", "a: 1"),
        (OBJECT + "a: *b\n", 4, "undefined alias", "a: *b"),
        (OBJECT + "a: !!python/object/apply:os.system [id]\n", 4, "could not determine a constructor", "os.system"),
        (OBJECT + "a: {{ model.name }}: {{ model.name | tojson }}\n", 4, "mapping values", 'granite-8b: "granite-8b"'),
    ],
)  # fmt: skip
def test_text_that_is_no_yaml_is_shown(text: str, line: int, problem: str, shown: str) -> None:
    """Broken YAML names the template, the line of the rendered text, and what stands there, values included."""
    message = complaint(text)
    assert message.startswith(f"mine/vllm/service.yaml.j2: line {line} of the rendered text is no YAML: "), message
    assert problem in message
    assert shown in message


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("just text\n", "rendered 'just text', not a Kubernetes object"),
        ("- 1\n", "rendered [1], not a Kubernetes object"),
        ("kind: A\nmetadata: {name: x}\n", "without apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}\n", "without kind"),
        ("apiVersion: v1\nkind: A\n", "without metadata.name"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ''}\n", "without metadata.name"),
        ("apiVersion: v1\nkind: A\nmetadata: x\n", "without metadata.name"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: 1}\n", "whose metadata.name is 1"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ../../x}\n", "whose metadata.name is '../../x'"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ..}\n", "whose metadata.name is '..'"),
        ("apiVersion: v1\nkind: A/B\nmetadata: {name: x}\n", "whose kind is 'A/B'"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: x, namespace: ../y}\n", "whose metadata.namespace is '../y'"),
        ("apiVersion: ../v1\nkind: A\nmetadata: {name: x}\n", "whose apiVersion is '../v1'"),
    ],
)
def test_what_is_no_object_is_refused(text: str, what: str) -> None:
    """A document needs apiVersion, kind and a name, and none of them may lead out of a folder or an API path."""
    assert what in complaint(text)


def test_infinite_numbers_are_refused() -> None:
    """Neither JSON nor YAML for Kubernetes has them."""
    assert "ValueError" in complaint(OBJECT + "a: {{ (1e308 * 10) | tojson }}\n")


def test_template_may_render_nothing_or_several_objects() -> None:
    """An overlay can drop an object with an empty file, and add others beside it."""
    catalog = loaded(SMALL).catalog
    count = len(render(catalog, read_templates(None)))
    assert len(render(catalog, read_templates(None) | {NAME: "# nothing\n"})) == count - 2
    two = "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {{{{ (model.objectName ~ '-{part}') | tojson }}}}}}\n"
        for part in "ab"
    )
    assert len(render(catalog, read_templates(None) | {NAME: two})) == count + 2


# Data that would matter if it ever became template or YAML.
HOSTILE = ("{{ 7 * 7 }}", "{% include 'x' %}", "a: b", "'", '"', "\\", "\n- x", "# x", "*x", "&x", "!x", "%x", "@",
           "`", "\ue0000\ue001", '"\ue0000\ue001"', "\u2028", "\x85", "\x7f", "yes", "8e3",
           "1_000", "0755", "~", "")  # fmt: skip


@given(st.text() | st.sampled_from(HOSTILE), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(HOSTILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8,
))  # fmt: skip
def test_data_stays_data(text: str, value: object) -> None:
    """Whatever a value holds, it comes out of the YAML as it went in, through either way of reading the text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    source = "a:\n- {{ value | tojson }}\n- b: {{ text | tojson }}\n  {{ text | tojson }}: {{ value | tojson }}\n"
    expected = {"a": [value, {"b": text, text: value}]} if text != "b" else None
    # A macro makes the engine read the text with its values in it.
    for template in (source, "{% macro unused() %}{% endmacro %}" + source):
        engine = Engine({"t": template}, {})
        if expected is None:
            with pytest.raises(TemplateError, match="the key b stands twice"):
                engine.values("t", {"value": value, "text": text})
        else:
            assert engine.values("t", {"value": value, "text": text}) == [expected]


def test_output_of_tojson_can_be_worked_on() -> None:
    """What a filter does to the text of a value is not lost, as it would be if the value were put in afterwards."""
    template = (
        "a: {{ 'x' | tojson | upper }}\nb: {{ [1, 2] | tojson | length }}\n"
        "c: '{{ 'it' | tojson }}'\nd: --name={{ 'x' | tojson }}\ne: {{ 'x' | tojson ~ '' }}\n"
        "f: {% filter upper %}{{ 'x' | tojson }}{% endfilter %} # newline after a tag is dropped\n"
        "g: {% set g %}{{ 'x' | tojson }}{% endset %}{{ g | length }}\n"
    )
    assert Engine({"t": template}, {}).values("t", {}) == [
        {"a": "X", "b": 6, "c": '"it"', "d": '--name="x"', "e": "x", "f": "X", "g": 3}
    ]


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is in no encoding; it is an error with a line, not a traceback when it is written."""
    with pytest.raises(TemplateError, match=r"templates/t:1: .*surrogates not allowed"):
        Engine({"t": "a: {{ x | tojson }}"}, {}).values("t", {"x": "\ud800"})


def test_overlay_replaces_single_files(tmp_path: Path) -> None:
    """A file of --templates stands for the built-in one of its name; the others stay, and a README is no template."""
    (tmp_path / "vllm").mkdir()
    (tmp_path / NAME).write_text(OBJECT)
    (tmp_path / "vllm/_labels.j2").write_text("x")
    (tmp_path / "README.md").write_text("ours")
    read = read_templates(tmp_path)
    assert read.keys() - read_templates(None).keys() == {"vllm/_labels.j2"}
    assert (read[NAME], read["vllm/deployment.yaml.j2"]) == (OBJECT, read_templates(None)["vllm/deployment.yaml.j2"])


@pytest.mark.parametrize(
    "name", ["vllm/deployment.yaml", "vllm/deploymnet.yaml.j2", "deployment.yaml.j2", "vlm/deployment.yml"]
)
def test_overlay_file_that_replaces_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    """A typo in a name would otherwise be ignored in silence; the nearest name is suggested."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(OBJECT)
    with pytest.raises(TemplateError, match=re.escape(f"{path}: there is no built-in template {name}")) as caught:
        read_templates(tmp_path)
    assert "did you mean vllm/deployment.yaml.j2?" in str(caught.value)


def test_overlay_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing folder is a usage error; a file that is no UTF-8 or leads nowhere is named."""
    with pytest.raises(UsageError, match="is no folder"):
        read_templates(tmp_path / "missing")
    (tmp_path / "vllm").mkdir()
    (tmp_path / NAME).write_bytes(b"\xff")
    with pytest.raises(TemplateError, match=r"service\.yaml\.j2: not UTF-8"):
        read_templates(tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("nowhere")
    with pytest.raises(TemplateError, match=r"service\.yaml\.j2: cannot be read: No such file"):
        read_templates(tmp_path)


def test_laying_over_keeps_the_order_of_names() -> None:
    """The result has all names, each once."""
    assert lay_over({"a/x.j2": "1", "b/x.j2": "2"}, {"b/x.j2": "3"}) == {"a/x.j2": "1", "b/x.j2": "3"}
