"""Each rule finds what it is there for, where it stands, and nothing else; near misses are let pass."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalogs import changed
from tests.findings import cases_agents, cases_pods, cases_services
from tests.findings.base import CLEAN, ROOT, Case, Edit, findings, rendered, shape_of
from wtsctl.plan.findings import registry

CASES = (*cases_pods.CASES, *cases_services.CASES, *cases_agents.CASES)
# Every catalog that the golden tests and those on a real API server render, but for two with objects of their own.
RENDERED = sorted(
    path
    for path in (*ROOT.glob("tests/golden/cases/*/models.yaml"), *ROOT.glob("tests/cluster/matrix/*.yaml"))
    if not {"patches", "extra"} & {path.parent.name, path.stem}
)
OF_TEMPLATES = frozenset(
    (
        *("WTS108", "WTS110", "WTS202", "WTS203", "WTS204", "WTS205", "WTS206", "WTS207", "WTS208", "WTS209", "WTS210"),
        *("WTS211", "WTS212", "WTS302", "WTS402", "WTS403", "WTS404", "WTS405", "WTS406", "WTS407", "WTS411", "WTS501"),
        *("WTS502", "WTS512", "WTS513", "WTS603", "WTS802", "WTS901", "WTS902", "WTS903"),
    )
)
FOUND_ELSEWHERE = {registry.UNKNOWN, registry.UNUSED}


def test_nothing_is_found_in_the_clean_catalog() -> None:
    """The catalog that the cases start from is silent, so that each case shows what its own change does."""
    assert [str(one) for one in findings(CLEAN)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.name or 'found'}")
def test_rule(case: Case) -> None:
    """The change is found under its code, at the text that has to change; a near miss is not."""
    found = case.findings()
    others = {one.code for one in found} - {case.code}
    mine = [one for one in found if one.code == case.code]
    assert others == case.also, found
    assert bool(mine) == bool(case.at), found
    for one in mine:
        assert shape_of(case.text, one).startswith(case.at), (one.where, shape_of(case.text, one))
        assert case.says in one.message
        assert one.hint
        assert re.fullmatch(r"models\.yaml:\d+:\d+", one.where)


def test_the_hint_names_a_service_that_is_free() -> None:
    """Another name for a Service holds the model's own, and is not that of a Service which is there."""
    guard = ("  role: safety\n", "  role: safety\n  service: {name: vllm}\n")
    (hit,) = [one for one in findings(changed(guard, text=CLEAN)) if one.code == "WTS401"]
    assert hit.hint == "give it another name, such as `vllm-llama-guard`"
    other = ("name: llama-70b\n", "name: llama-70b\n  service: {name: vllm-llama-guard}\n")
    (hit,) = [one for one in findings(changed(guard, other, text=CLEAN)) if one.code == "WTS401"]
    assert hit.hint == "give it another name, such as `vllm-llama-guard-2`"


def test_the_hint_for_a_long_context_is_what_helps() -> None:
    """No 8-bit cache where it is on or not enough, and no context beyond what the model was made for."""
    longer = (
        "  maxModelLen: 8192\n  resources: {requests: {cpu: 8",
        "  maxModelLen: LENGTH\n  resources: {requests: {cpu: 8",
    )

    def hint(length: str, *more: tuple[str, str]) -> str:
        text = changed(longer, ("LENGTH", length), *more, text=CLEAN)
        (hit,) = [one for one in findings(text) if one.code == "WTS102"]
        return hit.hint

    card = ("A100-SXM4-80GB", "L40S")
    assert "set maxModelLen to 44,048 or less; or set kvCacheDtype to fp8" in hint("50000", card)
    assert "kvCacheDtype" not in hint("128000", card)
    assert "kvCacheDtype" not in hint("128000", card, ("{tensor: 4}", "{tensor: 4}\n  kvCacheDtype: fp8"))
    assert hint("500000") == "set maxModelLen to 131,072 or less"


@pytest.mark.parametrize(
    "catalog", RENDERED, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}-{path.stem}"
)
def test_own_templates_cause_nothing(catalog: Path) -> None:
    """Whatever a catalog asks for, what our templates make of it has none of the faults that a template can have."""
    found = findings(catalog.read_text())
    assert [f"{one.where} {one.code} {one.message}" for one in found if one.code in OF_TEMPLATES] == []


JUNK: tuple[object, ...] = (None, 5, -1, "x", "", [], {}, [None], [[]], {"x": None}, True, 1.5, ["x"])


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _paths(item, (*path, key))


def test_no_rule_fails_on_what_a_template_may_render() -> None:
    """Whatever stands anywhere in a rendered object, of whatever kind, is looked at without an exception."""
    text = changed(
        ("models:\n- name", "platform: {podSecurity: restricted, quota: {mode: 'on'}}\nmodels:\n- name"),
        ("  role: safety\n", "  role: safety\n  autoscale: {max: 2, by: hpa}\n  apiKey: {name: a, key: b}\n"),
        text=CLEAN,
    )
    places = [
        (made.kind, made.name, path)
        for made in rendered(text)
        if made.model != "llama-70b"
        for path in _paths(made.doc)
        if path not in (("kind",), ("apiVersion",), ("metadata",), ("metadata", "name"))
    ]
    # Not each with each, but every seventh place with one piece of junk, and each piece with many places.
    for at, (kind, name, path) in enumerate(places[::7]):
        findings(text, (Edit(kind, name, path, JUNK[at % len(JUNK)]),))
    assert len(places) > 7 * 7 * len(JUNK)


def test_every_rule_has_both_cases() -> None:
    """Each code has a case that is found and one that is not; those about comments are tested beside them."""
    codes = set(registry.BY_CODE) - FOUND_ELSEWHERE
    assert {case.code for case in CASES if case.at} == codes
    assert {case.code for case in CASES if not case.at} == codes


def test_codes_keep_to_their_form() -> None:
    """Codes and names are unique, codes belong to an area, and texts are whole sentences."""
    rules = registry.RULES
    assert len({rule.code for rule in rules}) == len({rule.name for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r"WTS\d{3}", rule.code)
        assert rule.code[3] in registry.AREAS
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
        assert rule.title[0].isupper() and not rule.title.endswith(".")  # noqa: PT018
        assert rule.why.endswith(".")
        assert rule.todo.endswith(".")


def test_page_is_the_registry() -> None:
    """docs/reference/findings.md is what the registry says today."""
    written = runpy.run_path(str(ROOT / "docs/reference/generate_findings.py"))["page"]()
    assert (ROOT / "docs/reference/findings.md").read_text() == written, "run `make docs`"
