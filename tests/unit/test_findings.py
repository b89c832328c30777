"""Each rule finds what it is there for, where it stands, and nothing else; near misses are let pass."""

from __future__ import annotations

import re
import runpy

import pytest

from tests.findings import cases_agents, cases_pods, cases_services
from tests.findings.base import CLEAN, ROOT, Case, findings, shape_of
from wtsctl.plan.findings import registry

CASES = (*cases_pods.CASES, *cases_services.CASES, *cases_agents.CASES)
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
