"""The values of the Secrets that wtsctl makes: read from the environment and from files, shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.catalog.pods import SecretSource
from wtsctl.errors import Problem, UsageError

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client
    from wtsctl.render.secrets import WantedSecret
    from wtsctl.report.terminal import Terminal

# What one Secret can hold: https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size
_MAX_BYTES = 1024 * 1024
_FORBIDDEN, _NOT_FOUND = 403, 404


@dataclass(frozen=True, slots=True)
class Values:
    """What could be read, and why the rest could not; `known` is left out of every text."""

    known: Mapping[SecretSource, str] = field(repr=False)
    lacking: Mapping[SecretSource, str]


def read_values(sources: Iterable[SecretSource], catalog: Path) -> Values:
    """The values from the environment and from files.

    One line end at the end of a file is not part of the value: editors and `echo` put it there, and in an HTTP
    header it would be an error.

    Args:
        sources: what to read.
        catalog: path of models.yaml, beside which files are looked for; `-` is the current folder.

    Raises:
        UsageError: a file is there and cannot be a value: a folder, not to be opened, not UTF-8, too large.
    """
    known: dict[SecretSource, str] = {}
    lacking: dict[SecretSource, str] = {}
    for source in sources:
        if source.kind == "env":
            value = os.environ.get(source.name)
            why = f"the environment variable {source.name} is not set"
        else:
            value = _content(catalog.parent / source.name, source.name)
            why = f"the file {catalog.parent / source.name} is not there"
        if value:
            known[source] = value
        else:
            lacking[source] = why if value is None else f"{source} is empty"
    return Values(known, lacking)


def _content(path: Path, name: str) -> str | None:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}", where=str(path)) from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{name} is larger than a Secret can be, 1 MiB", where=str(path))
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Without the error itself, which holds the content.
        text = None
    if text is None:
        raise UsageError(f"{name} is not UTF-8", where=str(path), hint="a token is text; is it the right file?")
    return text.removesuffix("\n").removesuffix("\r")


def require(wanted: Iterable[WantedSecret], values: Values) -> None:
    """Go on only if every value could be read.

    Raises:
        UsageError: one could not; all of them are named.
    """
    problems = [Problem(UsageError.code, why, _identity(one)) for one, why in _without(wanted, values)]
    if problems:
        raise UsageError.of(problems)


def keep_or_refuse(client: Client, wanted: Iterable[WantedSecret], values: Values, screen: Terminal) -> None:
    """Say which Secrets are left as they are, because their values are not here.

    Raises:
        UsageError: one of them is not in the cluster either, or lacks a key; all of them are named.
        ClusterError: the cluster cannot be spoken to.
    """
    from wtsctl.cluster import objects
    from wtsctl.cluster.discovery import SECRET
    from wtsctl.cluster.faults import ApiRefused

    problems: list[Problem] = []
    for one, why in _without(wanted, values):
        try:
            there = objects.get(client, SECRET, one.namespace, one.name).get("data") or {}
        except ApiRefused as error:
            if error.status == _FORBIDDEN:
                screen.note(f"{_identity(one)} is left as it is, if it is there: {why}, and it may not be looked at")
                continue
            if error.status != _NOT_FOUND:
                raise
            text = f"{why}, and the Secret that would be made of it is not in the cluster either"
            problems.append(Problem(UsageError.code, text, _identity(one), _hint(one, values)))
            continue
        missing = [key for key in one.keys if key not in there]
        if missing:
            text = f"{why}, and the Secret in the cluster has no key {', '.join(missing)}"
            problems.append(Problem(UsageError.code, text, _identity(one), _hint(one, values)))
        else:
            screen.note(f"{_identity(one)} is left as it is: {why}")
    if problems:
        raise UsageError.of(problems)


def _without(wanted: Iterable[WantedSecret], values: Values) -> list[tuple[WantedSecret, str]]:
    """The Secrets of which a value is lacking, each with the first reason."""
    found = []
    for one in wanted:
        why = [values.lacking[source] for source in one.sources.values() if source in values.lacking]
        if why:
            found.append((one, why[0]))
    return found


def _hint(one: WantedSecret, values: Values) -> str:
    source = next(source for source in one.sources.values() if source in values.lacking)
    return (
        "set the variable, or put the Secret there"
        if source.kind == "env"
        else "write the file, or put the Secret there"
    )


def _identity(one: WantedSecret) -> str:
    return f"{one.namespace}/Secret/{one.name}"
