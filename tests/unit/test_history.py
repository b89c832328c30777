"""What is recorded of deploys, and what follows from the records: pure, so in milliseconds."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wtsctl.catalog.home import home
from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import plain
from wtsctl.errors import CatalogError
from wtsctl.plan.history import (
    DETAILS,
    MAX_BYTES,
    STATE,
    TEXT,
    Ended,
    Entry,
    base,
    changes,
    entry,
    estimates,
    laid_over,
    manifests,
    packed,
    started_in,
    surplus,
    target,
    tells_more,
    unpacked,
    without_values,
)
from wtsctl.plan.public import public
from wtsctl.report.history import RecordReport, changed

READY, FAILED, STARTED, APPLIED = Ended.READY, Ended.FAILED, Ended.STARTED, Ended.APPLIED


def records(*results: str, **more: Any) -> list[Entry]:
    """Entries newest first, of results oldest first."""
    made = [Entry(at, result=one, **more) for at, one in enumerate(results, 1)]
    return made[::-1]


def test_an_entry_is_read_as_it_was_written() -> None:
    """Nothing is lost on the way through an annotation."""
    one = Entry(
        7,
        result=READY,
        complete=True,
        profile="gpu",
        selection=("a*", "--role chat"),
        counts={"create": 2},
        stored=(TEXT, STATE),
        seconds={"a": 1.5},
        verdicts={"a": "ready"},
        errors=("x",),
    )
    assert entry(one.dump(), 7) == one


@pytest.mark.parametrize(
    "text",
    [
        "", "no json", "[]", "null", "[" * 100_000, '{"counts": 1}', '{"selection": [1]}', '{"started": null}',
        '{"seconds": {"m": "abc"}}', '{"seconds": {"m": NaN}}', '{"seconds": {"m": -1}}', '{"complete": "no"}',
        '{"verdicts": {"m": {}}}', '{"rollback": "1"}', '{"stored": [null]}', '{"user": "\\ud800"}',
    ],
)  # fmt: skip
def test_what_someone_changed_is_unreadable_and_no_crash(text: str) -> None:
    """A broken annotation makes one unreadable record; keys of a later wtsctl are left out."""
    assert entry(text, 3) == Entry(3, result="unreadable")
    assert entry('{"result": "ready", "later": 1}', 3) == Entry(3, result=READY)


@pytest.mark.parametrize(
    ("results", "revision", "expected"),
    [
        ([READY, READY, READY], None, 2),
        ([READY, APPLIED, FAILED, READY], None, 2),
        ([READY, FAILED, STARTED, FAILED], None, 1),
        ([READY], None, None),
        ([FAILED, READY], None, None),
        ([READY, FAILED, READY], 2, 2),
        ([READY], 9, None),
        ([], None, None),
    ],
)
def test_what_a_rollback_goes_back_to(results: list[str], revision: int | None, expected: int | None) -> None:
    """Without a number the newest before the current that ended well; with one that, whatever came of it."""
    found = target(records(*results), revision)
    assert (found.revision if found else None) == expected


def test_ten_are_kept_and_the_last_good_one() -> None:
    """Eleven records leave ten; a good one is not lost behind ten that failed."""
    assert [one.revision for one in surplus(records(*[READY] * 11))] == [1]
    assert surplus(records(*[READY] * 10)) == []
    assert [one.revision for one in surplus(records(READY, READY, *[FAILED] * 11))] == [3, 1]


def test_a_deploy_that_changes_nothing_is_recorded_once() -> None:
    """Not again where the newest record says the same and ended well."""
    newest = Entry(1, result=READY, catalog_hash="h", profile=None)
    assert not tells_more(newest, "h", None)
    assert tells_more(newest, "other", None)
    assert tells_more(newest, "h", "gpu")
    assert tells_more(replace(newest, result=FAILED), "h", None)
    assert tells_more(None, "h", None)


def test_a_part_is_laid_over_the_last_whole_state() -> None:
    """What a deploy of some models does not have stays as the last complete deploy left it."""
    before = [doc("Deployment", "a", 1), doc("Deployment", "b", 1), doc("Service", "a", 1)]
    assert laid_over(before, [doc("Deployment", "b", 2), doc("Deployment", "c", 2)]) == [
        doc("Deployment", "a", 1),
        doc("Deployment", "b", 2),
        doc("Service", "a", 1),
        doc("Deployment", "c", 2),
    ]
    good = Entry(2, result="not-ready", complete=True, stored=(STATE,))
    assert base([good, Entry(1)]) == good
    killed = Entry(3, result=STARTED, complete=True, stored=(STATE,))
    assert base([killed, good]) == killed


@pytest.mark.parametrize(
    "newest",
    [
        Entry(3, result=FAILED, stored=(STATE,)),
        Entry(3, result=STARTED, stored=(STATE,)),
        Entry(3, result=READY, complete=True),
        entry("?", 3),
    ],
)
def test_a_part_is_not_laid_over_what_nobody_knows(newest: Entry) -> None:
    """What a deploy left that was cut short is not the state before it: going back to that would undo it for others."""
    assert base([newest, Entry(2, result=READY, complete=True, stored=(STATE,))]) is None
    assert base([]) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[1]", '[{"x": 1}]', '[{"doc": 1}]', "[" * 100_000, json.dumps([{"doc": {"kind": "Service"}}]),
        json.dumps([{"doc": {"apiVersion": "v1", "kind": "Service", "metadata": None}}]),
        json.dumps([{"doc": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": "b"}}}]),
    ],
)  # fmt: skip
def test_manifests_that_someone_changed_are_none(text: str) -> None:
    """Whoever reads them hears so, before anything is done with a part of them."""
    with pytest.raises(ValueError, match=r"."):
        manifests(text)


def test_manifests_and_changes_are_read_as_written() -> None:
    """What is well formed comes back as it is; changes that are not are left out, all of them."""
    good = [doc("Deployment", "a", 1) | {"stage": "models", "template": "t", "model": None, "path": "p"}]
    assert manifests(json.dumps(good)) == good
    listed = [{"action": "create", "identity": "x", "fields": ["spec"]}]
    assert changes(json.dumps({"changes": listed})) == listed
    for broken in ("", "[]", "{}", '{"changes": [1]}', '{"changes": [{"action": "x", "identity": "y", "fields": 1}]}'):
        assert changes(broken) == []


def test_a_record_that_cannot_be_read_is_shown_as_such() -> None:
    """Neither its counts nor what was asked for are made up."""
    broken = entry("?", 3)
    assert (broken.readable, broken.shown, broken.asked) == (False, "unreadable", "unknown")
    assert target([Entry(4, result=READY), broken, Entry(2, result=READY)], None) == Entry(2, result=READY)


def doc(kind: str, name: str, value: int) -> dict[str, Any]:
    """A stored manifest."""
    return {"doc": {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": value}}


def test_estimates_are_of_the_newest_that_has_some() -> None:
    """A model keeps the time of its last start while others start anew."""
    found = started_in({"a": 1.0, "b": 2.0}, {"b": 3.0})
    assert found == {"a": 1.0, "b": 3.0}
    assert estimates([Entry(2), Entry(1, seconds=found)]) == found
    assert estimates([]) == {}


def test_a_record_has_no_values_of_secrets() -> None:
    """Neither those that deploy reads, nor those that stand in models.yaml under extra, patches or a profile."""
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "c2VjcmV0"}, "stringData": {"k": "secret"}}
    assert without_values(secret) == {"kind": "Secret", "metadata": {"name": "s"}}
    assert without_values({"kind": "ConfigMap", "data": {"k": "v"}}) == {"kind": "ConfigMap", "data": {"k": "v"}}
    text = """
name: x  # a comment
patches:
- {kind: Secret, merge: {stringData: {k: hidden-1}, metadata: {labels: {a: b}}}}
- {kind: Secret, json: [{op: add, path: /data/k, value: hidden-2}]}
- {kind: Deployment, merge: {data: {k: shown}}}
extra:
- {apiVersion: v1, kind: Secret, metadata: {name: s}, data: {k: hidden-3}}
profiles:
  gpu:
    extra:
    - kind: Secret
      stringData:
        k: |
          hidden-4
          hidden-5
"""
    shown = public(text)
    assert "hidden" not in shown
    root = parse(shown, filename="")[0]
    assert root is not None
    document = plain(root)
    assert document["extra"][0]["data"] == {"k": "***"}
    assert document["patches"][0]["merge"] == {"stringData": {"k": "***"}, "metadata": {"labels": {"a": "b"}}}
    assert document["patches"][2]["merge"] == {"data": {"k": "shown"}}
    plainly = "name: x  # a comment\nsecrets: {huggingface: {name: t, key: k, fromEnv: HF}}\n"
    assert public(plainly) == plainly


def test_the_home_of_a_catalog_that_is_wrong() -> None:
    """Its name and namespace are enough to look at what was deployed; where they are wrong, all is said."""
    text = "name: it\ndefaults: {namespace: here, gpu: wrong}\nmodels: nonsense\n"
    text += "profiles: {p: {defaults: {namespace: p}}}\n"
    assert home(text, filename="m.yaml") == ("it", "here")
    assert home(text, filename="m.yaml", profile="p") == ("it", "p")
    for broken, profile in ((text, "q"), (text.replace("it", "I_T"), None), ("models: []", None), ("[]", None)):
        with pytest.raises(CatalogError):
            home(broken, filename="m.yaml", profile=profile)


def test_every_field_is_documented() -> None:
    """docs/reference/history-fields.md has each field that `history -o json` writes, and no other."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "history-fields.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert listed == set(RecordReport(Entry(1), []).data())


def test_a_table_and_a_record_for_people() -> None:
    """A row has what was planned but for the unchanged; a killed deploy is unfinished; a rollback says where to."""
    one = Entry(3, started="2026-11-23T20:05:11Z", user="a@b", counts={"create": 2, "unchanged": 7}, rollback=1)
    assert (one.shown, changed(one.counts), one.asked) == ("unfinished", "2 create", "rollback to 1")
    assert changed({"unchanged": 3}) == "none"
    assert Entry(1, selection=("a*", "--only models")).asked == "a* --only models"


def test_a_record_is_bounded() -> None:
    """What would make it too large is left out: first the plan, then the manifests; models.yaml before neither."""
    noise = os.urandom(MAX_BYTES).hex()
    assert list(packed({TEXT: "a", STATE: "b", DETAILS: "c"})) == [TEXT, STATE, DETAILS]
    assert list(packed({TEXT: "a", STATE: noise, DETAILS: "c"})) == [TEXT, DETAILS]
    found = packed({TEXT: noise[:1000000], STATE: noise[:600000], DETAILS: noise[:1000000]})
    assert list(found) == [TEXT, STATE]
    assert sum(map(len, found.values())) <= MAX_BYTES
    assert unpacked(found[TEXT]) == noise[:1000000]
    with pytest.raises(ValueError, match="gzip"):
        unpacked(b"not packed")
    whole = packed({TEXT: "a text that is long enough to be broken"})[TEXT]
    for at in range(len(whole)):
        with contextlib.suppress(ValueError):
            unpacked(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
