"""What is recorded of a deploy, and what follows from earlier records; objects are plain dicts."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wtsctl.plan.changes import Action, Change

KEPT = 10
"""So many records are kept, and beside them the newest that ended well."""
MAX_BYTES = 900 * 1024
"""What one record may hold; a ConfigMap holds 1 MiB."""
DETAILS, TEXT, STATE = "details.json.gz", "models.yaml.gz", "manifests.json.gz"
"""The parts of a record: the plan, models.yaml, and the manifests of the whole state after it."""
# No entry of a model is kept for ever: catalogs change.
_MOST_ESTIMATES = 1000


class Ended(StrEnum):
    """What a deploy came to."""

    STARTED = "started"
    READY = "ready"
    APPLIED = "applied"
    NOT_READY = "not-ready"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNREADABLE = "unreadable"


WELL = frozenset({Ended.READY, Ended.APPLIED})


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one deploy at a glance.

    Attributes:
        revision: 1 is the first.
        result: what it came to; `started` while that is not known.
        complete: everything was applied; known before the models are waited for.
        started: when, by the clock of who deployed: `2026-11-23T20:05:11Z`.
        ended: the same; empty while it has not.
        user: `USER@HOST`.
        cluster_user: whom the cluster took that for.
        version: of wtsctl.
        catalog_hash: SHA-256 of models.yaml.
        profile: the profile of models.yaml.
        selection: what was asked for, as on the command line; empty: everything.
        rollback: the revision that was gone back to.
        plan_hash: of the plan.
        counts: objects by what was planned with them.
        whole: the manifests are of the whole catalog. Not those of a part, where there was nothing to lay it over, or
            nobody knows what the deploy before it left.
        stored: the parts that are kept; one that would be too large is not.
        seconds: how long the last start of a model took, by its name.
        verdicts: what waiting came to, by model.
        errors: the codes of what went wrong.
    """

    revision: int
    result: str = Ended.STARTED
    complete: bool = False
    started: str = ""
    ended: str = ""
    user: str = ""
    cluster_user: str = ""
    version: str = ""
    catalog_hash: str = ""
    profile: str | None = None
    selection: tuple[str, ...] = ()
    rollback: int | None = None
    plan_hash: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True
    stored: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether it ended well."""
        return self.result in WELL

    @property
    def shown(self) -> str:
        """The result for people: one that was killed never said how it ended, nor has one that goes on."""
        return "unfinished" if self.result == Ended.STARTED else self.result

    @property
    def readable(self) -> bool:
        """Whether anything but its number is known."""
        return self.result != Ended.UNREADABLE

    @property
    def asked(self) -> str:
        """What was asked for, in words."""
        if not self.readable:
            return "unknown"
        if self.rollback is not None:
            return f"rollback to {self.rollback}"
        return " ".join(self.selection) or "everything"

    def dump(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


_NAMES = frozenset(one.name for one in fields(Entry))


def entry(text: str, revision: int) -> Entry:
    """A stored entry, without what a later wtsctl added; `unreadable` where someone made something else of it."""
    try:
        found = json.loads(text)
        known = {key: value for key, value in found.items() if key in _NAMES} | {"revision": revision}
        read: Entry = _entries().validate_json(json.dumps(known), strict=True)
    except (AttributeError, RecursionError, ValidationError, ValueError):
        return Entry(revision, result=Ended.UNREADABLE)
    sensible = all(math.isfinite(one) and one >= 0 for one in read.seconds.values())
    return read if sensible else Entry(revision, result=Ended.UNREADABLE)


@cache
def _entries() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def manifests(text: str) -> list[dict[str, Any]]:
    """The stored manifests of a record: each has an object under `doc`, and where that comes from.

    Raises:
        ValueError: they are none.
    """
    found = _parsed(text)
    if not isinstance(found, list):
        raise ValueError("not a list of objects")  # noqa: TRY004 - of the text, not of an argument
    for number, one in enumerate(found):
        if not _is_manifest(one):
            raise ValueError(f"[{number}] is no recorded object")
    return found


def changes(text: str) -> list[dict[str, Any]]:
    """The stored changes of a plan; none where they cannot be read."""
    try:
        details = _parsed(text)
    except ValueError:
        return []
    found = details.get("changes") if isinstance(details, dict) else None
    return found if isinstance(found, list) and all(map(_is_change, found)) else []


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _is_manifest(one: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(doc := one.get("doc"), dict):
        return False
    metadata = doc.get("metadata")
    if not isinstance(metadata, dict):
        return False
    needed = [doc.get("apiVersion"), doc.get("kind"), metadata.get("name")]
    needed += [one.get(key) for key in ("stage", "template", "path")]
    optional = [one.get("model"), metadata.get("namespace")]
    maps = [metadata.get(key) for key in ("labels", "annotations")]
    return (
        all(isinstance(value, str) and value for value in needed)
        and all(value is None or isinstance(value, str) for value in optional)
        and all(value is None or isinstance(value, dict) for value in maps)
    )


def _is_change(one: Any) -> bool:
    if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("action", "identity")):
        return False
    paths = one.get("fields", [])
    return isinstance(paths, list) and all(isinstance(path, str) for path in paths)


def counts(changes: Iterable[Change]) -> dict[str, int]:
    """Objects by what is planned with them, in the order of `Action`."""
    found = Counter(one.action for one in changes)
    return {action.value: found[action] for action in Action if found[action]}


def digest(text: str) -> str:
    """The hash of a models.yaml."""
    return hashlib.sha256(text.encode()).hexdigest()


def tells_more(newest: Entry | None, catalog_hash: str, profile: str | None) -> bool:
    """Whether a deploy that found nothing to do is worth a record of its own."""
    return not (newest and newest.well and (newest.catalog_hash, newest.profile) == (catalog_hash, profile))


def surplus(entries: Sequence[Entry]) -> list[Entry]:
    """The records to be deleted; `entries` are newest first."""
    kept = entries[:KEPT]
    if not any(one.well for one in kept):
        kept = [*kept, *[one for one in entries[KEPT:] if one.well][:1]]
    return [one for one in entries if one not in kept]


def estimates(entries: Sequence[Entry]) -> Mapping[str, float]:
    """How long the last start of each model took; `entries` are newest first."""
    return next((one.seconds for one in entries if one.seconds), {})


def started_in(former: Mapping[str, float], took: Mapping[str, float]) -> dict[str, float]:
    """The estimates after a deploy in which models started."""
    found = {**former, **took}
    return dict(list(found.items())[-_MOST_ESTIMATES:])


def target(entries: Sequence[Entry], revision: int | None) -> Entry | None:
    """What to go back to: the revision that is named, else the newest before the current one that ended well."""
    if revision is not None:
        return next((one for one in entries if one.revision == revision), None)
    return next((one for one in entries[1:] if one.well), None)


def base(entries: Sequence[Entry]) -> Entry | None:
    """The record whose state a deploy of a part is laid over; None where nobody knows what is there.

    That is the newest. Where it was not applied whole, what is there is between two states; an older one is none of
    them, and going back to it would take back what came since.
    """
    newest = next(iter(entries), None)
    return newest if newest and newest.complete and STATE in newest.stored else None


def without_values(doc: Mapping[str, Any]) -> dict[str, Any]:
    """An object to be stored; a Secret keeps its name and loses its values."""
    if doc.get("kind") != "Secret":
        return dict(doc)
    return {key: value for key, value in doc.items() if key not in {"data", "stringData"}}


def laid_over(former: Iterable[Mapping[str, Any]], made: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Stored manifests with those of a later deploy of a part in their place; each has its object under `doc`."""
    found = {_identity(one["doc"]): one for one in former}
    return list((found | {_identity(one["doc"]): one for one in made}).values())


def _identity(doc: Mapping[str, Any]) -> tuple[str, str, str, str]:
    metadata = doc["metadata"]
    group = str(doc["apiVersion"]).rpartition("/")[0]
    return group, str(doc["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])


def packed(parts: Mapping[str, str]) -> dict[str, bytes]:
    """The parts of a record, compressed; the last ones are left out where all would be too large."""
    found: dict[str, bytes] = {}
    size = 0
    for name, text in parts.items():
        content = gzip.compress(text.encode(), mtime=0)
        if size + len(content) <= MAX_BYTES:
            found[name] = content
            size += len(content)
    return found


def unpacked(content: bytes) -> str:
    """A part of a record.

    Raises:
        ValueError: it is no such part.
    """
    try:
        return gzip.decompress(content).decode()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def ended(
    one: Entry, result: str, *, complete: bool, at: str, verdicts: Mapping[str, str], errors: Sequence[str]
) -> Entry:
    """An entry with what came of the deploy."""
    return replace(one, result=result, complete=complete, ended=at, verdicts=verdicts, errors=tuple(errors))
