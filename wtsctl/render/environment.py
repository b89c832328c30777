"""The Jinja that templates run in: no way to files or processes, the same output every time, and an end to it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.filters
import jinja2.runtime
import jinja2.sandbox

from wtsctl.render.skeleton import Json, Slots
from wtsctl.render.yamltext import to_json

# A template that says more than this is broken: the API server takes no object above 1.5 MiB.
_MAX_CHARACTERS = 1_500_000
# Turns of `range` in one rendering, all loops together.
_MAX_RANGE = 100_000
_MAX_REPEAT = 100_000
# Jinja's filters that shape text or choose from lists; the others write HTML, are different each time, or make
# a line as wide as they are told.
FILTERS = frozenset(
    (
        "abs", "attr", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "indent", "int",
        "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
        "reverse", "round", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "unique",
        "upper",
    )
)  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    str: frozenset(
        (
            "capitalize", "count", "endswith", "find", "isdigit", "join", "lower", "lstrip", "partition",
            "removeprefix", "removesuffix", "replace", "rpartition", "rsplit", "rstrip", "split", "splitlines",
            "startswith", "strip", "title", "upper",
        )
    ),
}  # fmt: skip


class TooMuch(Exception):  # noqa: N818 - never leaves this module
    """A template asked for more than any manifest needs."""


def _indent(text: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    """Jinja's filter `indent`, with a bound."""
    if width > _MAX_REPEAT:
        raise TooMuch(f"a width is more than {_MAX_REPEAT:,}")
    return jinja2.filters.do_indent(text, width, first, blank)


def _joined(chunks: Iterable[str]) -> str:
    parts, length = [], 0
    for chunk in chunks:
        length += len(chunk)
        if length > _MAX_CHARACTERS:
            error = TooMuch(f"the output is longer than {_MAX_CHARACTERS:,} characters")
            if isinstance(chunks, Generator):
                # Raised inside the template, so that the traceback has its line.
                chunks.throw(error)
            raise error
        parts.append(chunk)
    return "".join(parts)


class Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Jinja without a way to files, processes or another outcome from the same input, and with an end to it."""

    intercepted_binops = frozenset({"*", "**", "%"})
    concat = staticmethod(_joined)
    # Where values go that are left out of the text; None writes them.
    slots: Slots | None = None

    def render(self, template: jinja2.Template, variables: Mapping[str, Any], slots: Slots | None) -> str:
        """The text of a template; with `slots`, values are left out of it and put there."""
        self.slots = slots
        self.globals["range"] = _bounded_range()
        return template.render(variables)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`a.b` of a mapping: the key first, which is also the quick way."""
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The operators that can make much out of little, with a bound."""
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise jinja2.exceptions.SecurityError(f"the operator {operator} is switched off in templates")
        for size, other in ((left, right), (right, left)):
            if isinstance(size, int) and not isinstance(other, (int, float)) and size * len(other) > _MAX_REPEAT:
                raise TooMuch(f"a repetition is longer than {_MAX_REPEAT:,} items")
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        """Only macros, loops, `range` and the harmless methods of plain data can be called."""
        # Calling what is undefined raises the error that names it.
        harmless = (jinja2.runtime.Macro, jinja2.runtime.LoopContext, jinja2.Undefined)
        if isinstance(obj, harmless) or obj is self.globals["range"]:
            return True
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, jinja2.runtime.LoopContext):
            return name in {"cycle", "changed"}
        return any(isinstance(owner, kind) and name in names for kind, names in _METHODS.items())


def _tojson(value: Any) -> Json:
    """The filter `tojson`: a value as YAML, whatever characters are in it."""
    if type(value) is str:
        return _text_as_json(value)
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises the error that names it
    return Json(to_json(value))


@lru_cache(maxsize=8192)
def _text_as_json(text: str) -> Json:
    return Json(to_json(text))


@jinja2.pass_environment
def _written(environment: Environment, value: Any) -> Any:
    """What stands in the text for the value of one `{{ }}`."""
    if type(value) is Json and environment.slots is not None:
        return environment.slots.add(value)
    return value


def _bounded_range() -> Callable[..., range]:
    """A `range` whose turns are counted over a whole rendering, so that nested loops end as well."""
    left = _MAX_RANGE

    def bounded(*arguments: int) -> range:
        nonlocal left
        numbers = range(*arguments)
        left -= len(numbers)
        if left < 0:
            raise TooMuch(f"loops over range() make more than {_MAX_RANGE:,} turns")
        return numbers

    return bounded


def environment(load: Callable[[str], tuple[str, str] | None], variables: Mapping[str, Any]) -> Environment:
    """A Jinja environment for templates.

    Args:
        load: a template's text and what errors call it, by its name; None where there is none.
        variables: what every template can name.
    """

    def loaded(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        found = load(name)
        return None if found is None else (*found, lambda: True)

    made = Environment(
        loader=jinja2.FunctionLoader(loaded),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in made.filters.keys() - FILTERS:
        del made.filters[name]
    made.filters |= {"tojson": _tojson, "indent": _indent}
    made.globals.clear()
    made.globals.update(variables)
    return made
