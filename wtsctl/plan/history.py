"""What is recorded of a deploy, and what follows from earlier records; objects are plain dicts."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import plain
from wtsctl.plan.changes import Action, Change

KEPT = 10
"""So many records are kept, and beside them the newest that ended well."""
MAX_BYTES = 900 * 1024
"""What one record may hold; a ConfigMap holds 1 MiB."""
DETAILS, TEXT, STATE = "details.json.gz", "models.yaml.gz", "manifests.json.gz"
"""The parts of a record: the plan, models.yaml, and the manifests of the whole state after it."""
_MASK = "***"
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


WELL = frozenset({Ended.READY, Ended.APPLIED})


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one deploy at a glance.

    Attributes:
        revision: 1 is the first.
        result: what it came to; `started` while that is not known.
        complete: everything was applied.
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
        whole: the manifests are of the whole catalog, and not of a part that was all there ever was.
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
    def asked(self) -> str:
        """What was asked for, in words."""
        if self.rollback is not None:
            return f"rollback to {self.rollback}"
        return " ".join(self.selection) or "everything"

    def dump(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


_NAMES = frozenset(one.name for one in fields(Entry))
_LISTS = ("selection", "stored", "errors")


def entry(text: str, revision: int) -> Entry:
    """A stored entry; one that another wtsctl wrote, or someone changed, as far as it can be read."""
    try:
        found = json.loads(text)
        known = {key: value for key, value in found.items() if key in _NAMES}
        known |= {key: tuple(known.get(key) or ()) for key in _LISTS}
        known |= {key: dict(known.get(key) or {}) for key in ("counts", "seconds", "verdicts")}
        return Entry(**{**known, "revision": revision})
    except (ValueError, TypeError, AttributeError):
        return Entry(revision, result="unreadable")


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
    """The record whose state a deploy of a part is laid over: the newest of which everything was applied."""
    return next((one for one in entries if one.complete and STATE in one.stored), None)


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


def public(text: str) -> str:
    """models.yaml to be stored: as it is, or where it has values of Secrets, written anew without them and comments.

    By design it has none. But an object under `extra` may be a Secret, and a patch may be one's.
    """
    if "Secret" not in text and "\\" not in text:
        # Neither as it is nor in escapes: a large file need not be read for it.
        return text
    root, _ = parse(text, filename="")
    document = plain(root) if root is not None else None
    masked = _masked(document)
    return text if masked == document else json.dumps(masked, indent=2, ensure_ascii=False) + "\n"


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "Secret":
        return {key: _hidden(one) if key in {"data", "stringData"} else _patch(key, one) for key, one in value.items()}
    return {key: _masked(one) for key, one in value.items()}


def _patch(key: str, value: Any) -> Any:
    """A part of what is about a Secret: of a patch what it puts in."""
    if key == "merge" and isinstance(value, dict):
        return {name: _hidden(one) if name in {"data", "stringData"} else one for name, one in value.items()}
    if key == "json" and isinstance(value, list):
        return [
            {name: _hidden(one) if name == "value" else one for name, one in item.items()}
            if isinstance(item, dict)
            else item
            for item in value
        ]
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return value if value is None else _MASK


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
    except (OSError, EOFError) as error:
        raise ValueError(str(error)) from error


def ended(
    one: Entry, result: str, *, complete: bool, at: str, verdicts: Mapping[str, str], errors: Sequence[str]
) -> Entry:
    """An entry with what came of the deploy."""
    return replace(one, result=result, complete=complete, ended=at, verdicts=verdicts, errors=tuple(errors))
