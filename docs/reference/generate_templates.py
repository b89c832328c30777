"""Writes the generated parts of docs/reference/templates.md from the templates and what they are given; `make docs`.

Nothing about a template is kept on the page by hand:

- what a template is for: the `{# ... #}` comment on its first line;
- what it renders, and which variables it gets: from rendering the catalogs in `CATALOGS` with every kind known. A
  template that none of them renders is an error here: add a golden case that does;
- what a variable means: a section `Variables:` in the docstring of the function in wtsctl/render that gives it, one
  `name: meaning` a line. The same name means the same everywhere, so it is described once. `model: a Model` says
  that its parts are the keys of that entry of models.yaml, whose meaning comes from the schema; a line
  `model.image: meaning` says what is different, or new. A variable with lines of its own for its parts
  (`service.name: ...`) has a row for each part.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import wtsctl.render
from wtsctl.catalog.agent import Agent
from wtsctl.catalog.entry import Entry, keys
from wtsctl.catalog.load import load
from wtsctl.catalog.model import Model
from wtsctl.catalog.stack import LlamaStack
from wtsctl.commands.inputs import read_templates
from wtsctl.render.manifest import ask, common, objects
from wtsctl.render.secrets import sources, wanted_secrets
from wtsctl.render.templates import Engine, about

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("templates.md")
CATALOGS = (
    ROOT / "models.yaml",
    *sorted(ROOT.glob("tests/golden/cases/*/models.yaml")),
    *sorted(ROOT.glob("tests/cluster/matrix/**/*.yaml")),
)
_ENTRIES: dict[str, type[Entry]] = {entry.__name__: entry for entry in (Model, LlamaStack, Agent)}
_SECTION = re.compile(r"^Variables:\n((?:[ ]{4}.*\n?|\n)*)", re.MULTILINE)
_LINE = re.compile(r"^[ ]{4}([A-Za-z][\w.]*): ((?:.*)(?:\n[ ]{8}.*)*)", re.MULTILINE)


class Seen(Engine):
    """An engine that remembers which template got which variables, and what it rendered.

    Attributes:
        variables: for each template, the value of each variable it got, by name.
        kinds: for each template, the kinds it rendered.
    """

    def __init__(self, templates: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        super().__init__(templates, variables)
        self.variables: dict[str, dict[str, Any]] = defaultdict(dict)
        self.kinds: dict[str, set[str]] = defaultdict(set)

    def values(self, name: str, variables: Mapping[str, Any]) -> list[Any]:
        """As Engine does it."""
        for variable, value in variables.items():
            before = self.variables[name].get(variable)
            merged = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
            self.variables[name][variable] = merged
        documents = super().values(name, variables)
        kinds = {document["kind"] for document in documents if isinstance(document, dict) and "kind" in document}
        self.kinds[name] |= kinds
        return documents


def rendered(texts: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], dict[str, set[str]], dict[str, Any]]:
    """Over all catalogs: the variables and the kinds of each template, and what every template gets."""
    variables: dict[str, dict[str, Any]] = defaultdict(dict)
    kinds: dict[str, set[str]] = defaultdict(set)
    everywhere: dict[str, Any] = {}
    for path in CATALOGS:
        catalog = load(path.read_text(), filename=str(path.relative_to(ROOT))).catalog
        everywhere |= common(catalog)
        engine = Seen(texts, common(catalog))
        given_values = dict.fromkeys(sources(wanted_secrets(ask(catalog))), "x")
        objects(ask(catalog, knows=lambda *_: True, secrets=given_values), engine, parts=True)
        for name, given in engine.variables.items():
            variables[name] |= given
            kinds[name] |= engine.kinds[name]
    return variables, kinds, everywhere


def meanings() -> dict[str, str]:
    """What each variable means, from the docstrings of wtsctl/render."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(wtsctl.render.__path__, "wtsctl.render."):
        for _, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            section = _SECTION.search(inspect.getdoc(function) or "") if function.__module__ == module.name else None
            for name, text in _LINE.findall(section[1]) if section else ():
                meaning = " ".join(text.split())
                if found.setdefault(name, meaning) != meaning:
                    raise SystemExit(f"generate_templates.py: two meanings of {name}: {found[name]!r}, {meaning!r}")
    return found


def parts(name: str, value: Mapping[str, Any], meaning: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The parts of a variable with what they mean; what nothing explains has an empty meaning."""
    entry = _entry(name, meaning)
    known = {f"{name}.{key}": text for key, text in keys(entry).items()} if entry else {}
    for part in (f"{name}.{key}" for key in value):
        yield part, meaning.get(part) or known.get(part, "")


def _entry(name: str, meaning: Mapping[str, str]) -> type[Entry] | None:
    return _ENTRIES.get(meaning.get(name, "").removeprefix("an ").removeprefix("a "))


def _merged(given: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All variables of some templates, mappings with the keys of all."""
    merged: dict[str, Any] = {}
    for each in given:
        for name, value in each.items():
            both = isinstance(merged.get(name), dict) and isinstance(value, dict)
            merged[name] = {**merged[name], **value} if both else value
    return merged


def templates_part(texts: Mapping[str, str], kinds: Mapping[str, set[str]]) -> str:
    """The table of all templates."""
    lines = ["| template | renders | for |", "| --- | --- | --- |"]
    for name in sorted(texts, key=lambda name: (name.partition("/")[0] != "shared", name)):
        if not about(texts[name]):
            raise SystemExit(f"generate_templates.py: templates/{name} does not begin with a comment {{# ... #}}")
        what = ", ".join(sorted(kinds.get(name, ()))) or "no object"
        lines.append(f"| `{name}` | {what} | {about(texts[name])} |")
    return "\n".join([*lines, ""])


def variables_part(variables: Mapping[str, dict[str, Any]], everywhere: Mapping[str, Any]) -> str:
    """A section for what all templates get, one for each folder, and one for each entry of models.yaml."""
    meaning = meanings()
    sections = [("Every template", _rows(everywhere, meaning, {}))]
    for folder in sorted({name.partition("/")[0] for name in variables}):
        inside = {name: given for name, given in variables.items() if name.startswith(f"{folder}/")}
        given = _merged(inside.values())
        sections.append((f"`{folder}/`", _rows(given, meaning, {name: _only(name, inside) for name in given})))
    for name, value in _merged(variables.values()).items():
        if _entry(name, meaning):
            sections.append((f"`{name}`", list(parts(name, value, meaning))))
    if missing := sorted({f"{title}: {name}" for title, rows in sections for name, text in rows if not text}):
        text = "say under `Variables:` in the docstring of the function that gives them what these mean"
        raise SystemExit(f"generate_templates.py: {text}: {', '.join(missing)}")
    return "\n".join(
        line
        for title, rows in sections
        for line in (
            f"### {title}\n",
            "| variable | value |",
            "| --- | --- |",
            *(f"| `{n}` | {t} |" for n, t in rows),
            "",
        )
    )


def _rows(given: Mapping[str, Any], meaning: Mapping[str, str], only: Mapping[str, str]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in given.items():
        if _entry(name, meaning):
            rows.append((name, f"[its entry](#{name.lower()}), with what follows from it{only.get(name, '')}"))
        elif any(part.startswith(f"{name}.") for part in meaning):
            rows += [(part, text and text + only.get(name, "")) for part, text in parts(name, value, meaning)]
        else:
            rows.append((name, meaning.get(name, "") and meaning[name] + only.get(name, "")))
    return rows


def _only(name: str, inside: Mapping[str, Mapping[str, Any]]) -> str:
    """Which templates of a folder get a variable, where not all do."""
    having = [f"`{one.partition('/')[2]}`" for one, given in sorted(inside.items()) if name in given]
    without = [f"`{one.partition('/')[2]}`" for one, given in sorted(inside.items()) if name not in given]
    if not without:
        return ""
    return f" (not in {', '.join(without)})" if len(without) < len(having) else f" (in {', '.join(having)})"


def page(text: str) -> str:
    """The page with its generated parts made anew."""
    texts = read_templates(None)
    variables, kinds, everywhere = rendered(texts)
    included = {name for name in texts if name.rpartition("/")[2].startswith("_")}
    if never := sorted(set(texts) - set(variables) - included):
        raise SystemExit(f"generate_templates.py: no catalog renders {', '.join(never)}: add a golden case")
    made = {"templates": templates_part(texts, kinds), "variables": variables_part(variables, everywhere)}
    for name, part in made.items():
        start, end = f"<!-- {name}: generated by generate_templates.py -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"generate_templates.py: templates.md lacks {start!r} or {end!r}")
        text = f"{before}{start}\n\n{part}\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
