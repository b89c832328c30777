"""Template texts → YAML documents, with errors that name template and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Self

import jinja2
import jinja2.exceptions
import jinja2.nodes
import yaml

from wtsctl.errors import TemplateError
from wtsctl.render import yamltext
from wtsctl.render.environment import TooMuch, environment
from wtsctl.render.skeleton import Shapes, Slots, Unfit

_FOLDER = "templates/"


class TemplateText(str):
    """The text of a template that knows the file it came from, so that errors name what the user can open.

    Attributes:
        origin: path of the file as the user knows it.
    """

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, text: str, origin: str) -> Self:  # noqa: D102
        made = super().__new__(cls, text)
        made.origin = origin
        return made


def origin(name: str, text: str) -> str:
    """What errors call a template: the user's own path, or `templates/NAME` for a built-in one."""
    return text.origin if isinstance(text, TemplateText) else _FOLDER + name


_ABOUT = re.compile(r"\{#-?\s*(.*?)\s*-?#\}", re.DOTALL)


def about(text: str) -> str:
    """What a template is for: the Jinja comment that it begins with, as one line; empty without one."""
    found = _ABOUT.match(text)
    return " ".join(found[1].split()) if found else ""


# What can stand in an API path, and so in a file name as well.
_PATH_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%\s]+")
_OBJECT_PART = {
    "apiVersion": re.compile(r"([a-z0-9][a-z0-9.-]*/)?v[a-z0-9]+"),
    "kind": re.compile(r"[A-Za-z][A-Za-z0-9]*"),
    "metadata.name": _PATH_SEGMENT,
    "metadata.namespace": re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"),
}
# Parts of a template that take up text which was already written, and may do anything with it.
_REUSING = (
    jinja2.nodes.AssignBlock,
    jinja2.nodes.Block,
    jinja2.nodes.CallBlock,
    jinja2.nodes.Extends,
    jinja2.nodes.FilterBlock,
    jinja2.nodes.FromImport,
    jinja2.nodes.Import,
    jinja2.nodes.Include,
    jinja2.nodes.Macro,
)
_SYNTAX_HINT = "templates are Jinja: https://jinja.palletsprojects.com/templates/"


class Engine:
    """Compiles each template once and renders it as often as asked.

    Args:
        templates: text by name.
        variables: what every template can name.
    """

    def __init__(self, templates: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        self._templates = templates
        self._origins = frozenset(origin(name, text) for name, text in templates.items())
        self._environment = environment(self._load, variables)
        self._compiled: dict[str, tuple[jinja2.Template, bool]] = {}
        self._shapes = Shapes()

    def values(self, name: str, variables: Mapping[str, Any]) -> list[Any]:
        """The YAML documents a template renders to; none if its text is empty.

        Raises:
            TemplateError: the template fails, or its text is no YAML.
        """
        template, only_writes = self._template(name)
        if only_writes:
            slots = Slots()
            text = self._text(name, template, variables, slots)
            try:
                return self._shapes.documents(text, slots)
            except (Unfit, yaml.YAMLError):
                # The other way gives the same, or the error with the text as the user knows it.
                pass
        text = self._text(name, template, variables, None)
        try:
            return yamltext.parse(text)
        except yaml.YAMLError as error:
            raise _not_yaml(error, text, self._origin(name)) from error

    def source(self, name: str) -> str:
        """The text of a template; empty where there is none."""
        return self._templates.get(name, "")

    def objects(self, name: str, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The Kubernetes objects a template renders to; none if its text is empty.

        Raises:
            TemplateError: the template fails, its text is no YAML, or a document is no Kubernetes object.
        """
        documents = self.values(name, variables)
        for document in documents:
            _check_object(document, self._origin(name))
        return documents

    def _template(self, name: str) -> tuple[jinja2.Template, bool]:
        """A compiled template, and whether it does nothing with the output of `tojson` but write it."""
        found = self._compiled.get(name)
        if found is not None:
            return found
        if name not in self._templates:
            raise TemplateError(f"there is no template {name}", where=_FOLDER + name)
        text = self._templates[name]
        try:
            tree = self._environment.parse(text, name, self._origin(name))
            code = self._environment.compile(tree, name, self._origin(name))
        except jinja2.TemplateSyntaxError as error:
            raise self._syntax(name, error) from error
        template = jinja2.Template.from_code(self._environment, code, self._environment.make_globals(None))
        found = self._compiled[name] = (template, not _reuses_text(tree))
        return found

    def _text(self, name: str, template: jinja2.Template, variables: Mapping[str, Any], slots: Slots | None) -> str:
        try:
            return self._environment.render(template, variables, slots)
        except jinja2.TemplateSyntaxError as error:
            raise self._syntax(name, error) from error
        except Exception as error:
            where = _position(error.__traceback__, self._origins) or self._origin(name)
            message, hint = _explain(error)
            raise TemplateError(message, where=where, hint=hint) from error

    def _load(self, name: str) -> tuple[str, str] | None:
        text = self._templates.get(name)
        return None if text is None else (text, origin(name, text))

    def _syntax(self, name: str, error: jinja2.TemplateSyntaxError) -> TemplateError:
        where = f"{error.filename or self._origin(name)}:{error.lineno}"
        return TemplateError(str(error.message), where=where, hint=_SYNTAX_HINT)

    def _origin(self, name: str) -> str:
        return origin(name, self._templates[name])


def _reuses_text(tree: jinja2.nodes.Template) -> bool:
    loops = tree.find_all(jinja2.nodes.For)
    return next(tree.find_all(_REUSING), None) is not None or any(loop.recursive for loop in loops)


def _position(traceback: TracebackType | None, origins: Collection[str]) -> str:
    """The innermost line of a template in a traceback, or nothing."""
    found = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if filename in origins:
            found = f"{filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _explain(error: Exception) -> tuple[str, str]:
    """What a failure inside a template means, and what to do about it."""
    if isinstance(error, jinja2.UndefinedError):
        return str(error), "docs/reference/templates.md lists the variables of each template"
    if isinstance(error, jinja2.exceptions.SecurityError):
        return str(error), "templates may only shape text; compute nothing and call nothing in them"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no template {error.message}", "a file to include lies in --templates, its name begins with _"
    if isinstance(error, TooMuch):
        return str(error), "a template renders one object of one model; look for a loop that never ends"
    if isinstance(error, RecursionError):
        return "the template includes or calls itself without end", "look for a macro or include that names itself"
    return f"{type(error).__name__}: {error}", "docs/reference/templates.md lists the variables of each template"


def _not_yaml(error: yaml.YAMLError, text: str, where: str) -> TemplateError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return TemplateError(f"the rendered text is no YAML: {problem}", where=where)
    lines = text.splitlines()
    line = lines[mark.line].strip() if mark.line < len(lines) else "the end of the text"
    return TemplateError(
        f"line {mark.line + 1} of the rendered text is no YAML: {problem}: {line}",
        where=where,
        hint="emit every value with `| tojson`, which quotes it as YAML needs",
    )


def _check_object(document: Any, where: str) -> None:
    """Refuse what is no Kubernetes object."""
    if not isinstance(document, dict):
        raise TemplateError(f"rendered {document!r:.60}, not a Kubernetes object", where=where)
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    required = {
        "apiVersion": document.get("apiVersion"),
        "kind": document.get("kind"),
        "metadata.name": metadata.get("name"),
    }
    for key, value in required.items():
        if value is None or value == "":
            raise TemplateError(f"rendered an object without {key}", where=where, hint=f"give it {key}, a string")
    for key, value in {**required, "metadata.namespace": metadata.get("namespace", "default")}.items():
        if not isinstance(value, str) or not _OBJECT_PART[key].fullmatch(value):
            raise TemplateError(f"rendered an object whose {key} is {value!r:.60}", where=where)


def lay_over(builtin: Mapping[str, str], overlay: Mapping[str, str]) -> dict[str, str]:
    """The built-in templates with the overlay's in place of those of the same name.

    A file whose name begins with `_` is new: something for the overlay's own templates to include.

    Raises:
        TemplateError: a file of the overlay replaces nothing; it would be ignored in silence.
    """
    for name, text in overlay.items():
        if name in builtin or name.rpartition("/")[2].startswith("_"):
            continue
        close = difflib.get_close_matches(name, builtin, n=1, cutoff=0.5)
        guess = f"did you mean {close[0]}? " if close else ""
        raise TemplateError(
            f"there is no built-in template {name} to replace",
            where=origin(name, text),
            hint=f"{guess}a file that others include has a name that begins with _; "
            "`wtsctl templates list` lists the templates",
        )
    return {**builtin, **overlay}
