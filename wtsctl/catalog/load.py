"""models.yaml as text → the checked catalog, or every problem it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wtsctl.catalog import profile as profiles
from wtsctl.catalog import references, shape
from wtsctl.catalog.agent import Agent
from wtsctl.catalog.document import Catalog, Defaults
from wtsctl.catalog.entry import Entry
from wtsctl.catalog.fault import Code, Fault, Path, format_path
from wtsctl.catalog.model import Model
from wtsctl.catalog.platform import Cache, Platform, Secrets
from wtsctl.catalog.source import MAX_VALUES, parse
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.tree import Mapping, Node, Position, Scalar, locate, plain
from wtsctl.catalog.workload import Workload, workloads
from wtsctl.errors import CatalogError, Problem
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_EMPTY_HINT = "a catalog starts with `apiVersion: wtsctl/v1`; docs/reference/models-yaml.md lists its keys"


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """A catalog that passed every check, and where each part of it stands.

    Attributes:
        catalog: what models.yaml says, with the profile merged in.
        workloads: its models with every default filled in, in file order.
        profile: the profile that was merged in, if any.
        filename: the name that positions start with.
        document: the merged document as a tree of values with positions.
        text: the content of models.yaml.
    """

    catalog: Catalog
    workloads: tuple[Workload, ...]
    profile: str | None
    filename: str
    document: Mapping
    text: str = field(repr=False)

    def where(self, *path: str | int) -> str:
        """`FILE:LINE:COLUMN` of a value of the merged document, by its keys and indices.

        A path that is not there, such as a key left to its default, has the position of its nearest parent.
        """
        (line, column), _ = locate(self.document, path)
        return f"{self.filename}:{line}:{column}"


def load(text: str, *, filename: str, profile: str | None = None, parser: str = "") -> LoadedCatalog:
    """Read, merge and check a catalog.

    Args:
        text: the content of models.yaml.
        filename: what positions start with.
        profile: the profile to merge in.
        parser: `libyaml` or `pure`; empty takes libyaml where it is installed.

    Raises:
        CatalogError: with every problem found, in file order.
    """
    root, unread = parse(text, filename=filename, parser=parser)
    if root is None:
        raise CatalogError.of([Problem(Code.FILE, "the file is empty", filename, _EMPTY_HINT)])
    report = _Report(filename)
    if not isinstance(root, Mapping):
        report.add(root, [Fault(Code.TYPE, (), f"expected a mapping, got {shape.describe(root)}", _EMPTY_HINT)])
        raise report.error(unread)
    base, variants = profiles.split(root)
    report.add(root, profiles.problems(variants, profile))
    merged = profiles.apply(base, variants, profile) if profile is not None else base
    if merged.size > MAX_VALUES:
        text = f"more than {MAX_VALUES:,} values with eachModel applied, which no catalog has"
        raise CatalogError.of([Problem(Code.YAML, text, filename)])
    if merged is not base:
        # What a profile replaces has to be right too: the next command may run without it.
        _, errors = shape.check(Catalog, plain(base))
        report.add(base, shape.faults([error for error in errors if error["type"] != "missing"], Catalog, base))
    data = plain(merged)
    catalog, errors = shape.check(Catalog, data)
    for fault in shape.faults(errors, Catalog, merged):
        hint = profiles.added(base, profile, merged, fault.path) if fault.code is Code.MISSING else ""
        report.add(merged, [Fault(fault.code, fault.path, fault.text, hint or fault.hint, fault.at_key)])
    parts = _parts(catalog) if catalog is not None else _readable_parts(data, errors)
    report.add(merged, references.check(parts))
    if unread or report.faults or catalog is None:
        raise report.error(unread)
    return LoadedCatalog(catalog, workloads(catalog), profile, filename, merged, text)


class _Report:
    """Faults with their positions; the same fault at the same place counts once, under the path found first."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.faults: dict[tuple[Position, Code, str], Problem] = {}

    def add(self, root: Node, faults: Iterable[Fault]) -> None:
        for fault in faults:
            position, _ = locate(root, fault.path, at_key=fault.at_key)
            where = f"{self.filename}:{position[0]}:{position[1]}"
            # An unknown key is the subject of its own message; the entry it stands in is the place.
            subject = _subject(root, fault.path[:-1] if fault.code is Code.UNKNOWN_KEY else fault.path)
            # A quoted YAML text may hold escape sequences, which must not reach a terminal.
            message = printable(f"{subject}: {fault.text}" if subject else fault.text)
            problem = Problem(fault.code, message, where, printable(fault.hint))
            self.faults.setdefault((position, fault.code, fault.text), problem)

    def error(self, unread: list[Problem]) -> CatalogError:
        """All of them, and those of the parser, in file order."""
        problems = [*unread, *self.faults.values()]
        return CatalogError.of(sorted(problems, key=lambda problem: _position(problem.where)))


def _position(where: str) -> Position:
    line, column = where.rsplit(":", 2)[1:]
    return int(line), int(column)


def _subject(root: Node, path: Path) -> str:
    """The path, and the name of the entry where it ends at one: `models[2] (granite-8b)`."""
    text = format_path(path)
    if path and isinstance(path[-1], int):
        _, entry = locate(root, path)
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if isinstance(name, Scalar) and isinstance(name.value, str):
            return f"{text} ({name.value})"
    return text


def _parts(catalog: Catalog) -> references.Parts:
    return references.Parts(
        defaults=catalog.defaults,
        secrets=catalog.secrets,
        platform=catalog.platform,
        cache=catalog.cache,
        wrong_cache=False,
        models=tuple(enumerate(catalog.models)),
        llama_stack=catalog.llama_stack,
        agents=tuple(enumerate(catalog.agents)),
        without_llama_stack=catalog.llama_stack is None,
        names={name: at for at, model in enumerate(catalog.models) for name in (model.name, *model.aliases)},
        roles={at: model.role for at, model in enumerate(catalog.models)},
    )


def _readable_parts(data: dict[str, Any], errors: list[Any]) -> references.Parts:
    """The entries without an error of their own, so that references are checked in the same run."""
    wrong = {error["loc"][:depth] for error in errors for depth in (1, 2)}

    def one(entry: type[Entry], key: str) -> Any:
        return shape.check(entry, data[key])[0] if data.get(key) is not None and (key,) not in wrong else None

    def many(entry: type[Entry], key: str) -> tuple[tuple[int, Any], ...]:
        listed = data.get(key)
        rows = enumerate(listed if isinstance(listed, list) else [])
        return tuple((at, shape.check(entry, row)[0]) for at, row in rows if (key, at) not in wrong)

    models: tuple[tuple[int, Model], ...] = many(Model, "models")
    rows = data.get("models")
    names = {
        name: at
        for at, row in enumerate(rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
        for name in (row.get("name"), *(row["aliases"] if isinstance(row.get("aliases"), list) else []))
        if isinstance(name, str)
    }
    return references.Parts(
        defaults=one(Defaults, "defaults"),
        secrets=one(Secrets, "secrets"),
        platform=one(Platform, "platform"),
        cache=one(Cache, "cache"),
        wrong_cache=("cache",) in wrong,
        models=models,
        llama_stack=one(LlamaStack, "llamaStack"),
        agents=many(Agent, "agents"),
        without_llama_stack=data.get("llamaStack") is None,
        names=names,
        roles={at: model.role for at, model in models},
    )
