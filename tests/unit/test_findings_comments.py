"""A comment in models.yaml accepts what it names, where it stands, and nothing else."""

from __future__ import annotations

import pytest

from tests.catalogs import changed
from tests.findings.base import CLEAN, findings
from wtsctl.plan.findings.comments import read

# Two findings: WTS305 at the model of the first and of the last model.
TEXT = changed(
    ("secrets:\n  huggingface: {name: hf, key: HF_TOKEN}\n", ""),
    ("  runAsUser: 2000\n", ""),
    ("vllm/vllm-openai:", "own/vllm:"),
    text=CLEAN,
)
FIRST = "  model: meta-llama/Llama-3.1-70B-Instruct"
LAST = "  model: meta-llama/Llama-Guard-3-8B"


def counted(text: str, profile: str | None = None) -> list[str]:
    """Code and line of what still counts."""
    return [f"{one.code}:{one.line}" for one in findings(text, profile=profile) if one.suppressed is None]


def accepted(text: str, profile: str | None = None) -> list[tuple[str, int | None, str]]:
    """Code, line of the comment and reason of what was accepted."""
    found = findings(text, profile=profile)
    return [(one.code, one.suppressed.line, one.suppressed.reason) for one in found if one.suppressed is not None]


def test_without_comments() -> None:
    """The catalog of these tests has two findings that count."""
    assert counted(TEXT) == ["WTS305:11", "WTS305:32"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FIRST, f"{FIRST}  # wtsctl: ignore WTS305"),
        (FIRST, f"  # wtsctl: ignore WTS305\n{FIRST}"),
        (FIRST, f"  # wtsctl: ignore WTS305\n  # why: see the wiki\n{FIRST}"),
        ("- name: llama-70b", "- name: llama-70b  # wtsctl: ignore WTS305"),
        ("- name: llama-70b", "# wtsctl: ignore WTS305\n- name: llama-70b"),
        ("- name: llama-70b", "# wtsctl:ignore WTS305, WTS305\n- name: llama-70b"),
    ],
    ids=["behind", "above", "above-with-another", "first-line-of-entry", "above-entry", "form"],
)
def test_accepts_the_first(old: str, new: str) -> None:
    """Behind the value, above it, behind the first line of its entry or above the entry: one of the two is accepted."""
    assert len(counted(changed((old, new), text=TEXT))) == 1
    assert [code for code, _, _ in accepted(changed((old, new), text=TEXT))] == ["WTS305"]


def test_accepts_all_below_a_key() -> None:
    """Above or behind a key the comment is about everything under it."""
    assert counted(changed(("models:\n", "# wtsctl: ignore WTS305\nmodels:\n"), text=TEXT)) == []
    assert counted(changed(("models:\n", "models:  # wtsctl: ignore WTS305\n"), text=TEXT)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FIRST, f"{FIRST}\n  # wtsctl: ignore WTS305"),
        (FIRST, f"  # wtsctl: ignore WTS305\n\n{FIRST}"),
        ("  role: chat", "  role: chat  # wtsctl: ignore WTS305"),
        (FIRST, f"{FIRST}  # wtsctl: ignore WTS304"),
        ("name: clean\n", "name: clean\n# wtsctl: ignore WTS305\n"),
    ],
    ids=["below", "blank-line-between", "beside", "other-code", "elsewhere"],
)
def test_accepts_nothing_else(old: str, new: str) -> None:
    """What stands elsewhere or names another code accepts nothing, and is a finding itself."""
    found = counted(changed((old, new), text=TEXT))
    assert sorted(one.partition(":")[0] for one in found) == ["WTS092", "WTS305", "WTS305"]


def test_reason_is_kept() -> None:
    """What stands behind the dash is the reason; a colon does as well."""
    text = changed((FIRST, f"{FIRST}  # wtsctl: ignore WTS305 - from our mirror"), text=TEXT)
    assert accepted(text) == [("WTS305", 11, "from our mirror")]
    text = changed((FIRST, f"{FIRST}  # wtsctl: ignore WTS305: from our mirror"), text=TEXT)
    assert accepted(text) == [("WTS305", 11, "from our mirror")]


@pytest.mark.parametrize(
    ("comment", "says"),
    [
        ("# wtsctl: ignore WTS350", "there is no finding 'WTS350'"),
        ("# wtsctl: ignore all of them", "there is no finding 'all'"),
        ("# wtsctl: ignore", "names no code"),
        ("# wtsctl: ignore - later", "names no code"),
    ],
)
def test_unknown_codes_are_findings(comment: str, says: str) -> None:
    """A comment that cannot accept anything is told of, at its own place."""
    text = changed((FIRST, f"{FIRST}  {comment}"), text=TEXT)
    found = [one for one in findings(text) if one.code == "WTS091"]
    assert says in found[0].message
    assert (found[0].line, found[0].column) == (11, len(FIRST) + 3)


def test_text_is_no_comment() -> None:
    """In a quoted or block text `#` is an ordinary character; behind the `|` of a block it is a comment."""
    block = (
        "  - name: hello\n    prompt: |  # wtsctl: ignore WTS001\n      one # wtsctl: ignore WTS002\n"
        "      # wtsctl: ignore WTS305\n    assert: [{icontains: hello}]\n- name: llama-guard"
    )
    text = changed(
        ("prompt: Say hello.", 'prompt: "a # wtsctl: ignore WTS305"'),
        ("  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}\n- name: llama-guard", block),
        text=TEXT,
    )
    assert [note.codes for note in read(text)] == [("WTS001",)]


def test_profiles_have_their_own() -> None:
    """A comment counts as unused only where the profile that it stands in, or no profile, is checked."""
    text = (
        TEXT + "profiles:\n  small:\n    # wtsctl: ignore WTS305 - mirror\n    eachModel: {model: meta-llama/Llama-X}\n"
    )
    assert counted(text) == ["WTS305:11", "WTS305:32"]
    found = findings(text, profile="small")
    assert {one.suppressed is not None for one in found if one.code == "WTS305"} == {True}
    assert "WTS092" not in {one.code for one in found}
    other = text + "  other: {}\n"
    assert counted(changed((FIRST, f"{FIRST}  # wtsctl: ignore WTS001"), text=other), "other") == [
        "WTS305:11",
        "WTS305:32",
    ]


def test_alias_is_accepted_where_it_is_used() -> None:
    """What an alias brings is accepted by a comment at the key that has the alias, and by one at its anchor."""
    text = changed(
        (
            "{conversation: granite-8b, safety_check: llama-guard}",
            "&tasks {judge: llama-guard, safety_check: granite-8b}",
        ),
        text=CLEAN,
    ) + (
        "- {name: second, namespace: workshop, via: direct, model: granite-8b, safety: llama-guard,\n"
        "   tasks: *tasks}  # wtsctl: ignore WTS604\n"
    )
    assert [line for _, line, _ in accepted(text)] == [len(text.splitlines())] * 2
    assert [one.partition(":")[0] for one in counted(text)] == ["WTS604"] * 2


def test_line_ends_of_windows() -> None:
    """Lines that end in CR LF are counted as the loader counts them."""
    text = changed((FIRST, f"{FIRST}  # wtsctl: ignore WTS305"), text=TEXT).replace("\n", "\r\n")
    assert accepted(text) == [("WTS305", 11, "")]
