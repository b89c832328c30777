"""Secrets in models.yaml are found in every form that their issuers document, and ordinary text is none."""

from __future__ import annotations

import pytest

from tests.catalogs import changed, loaded
from tests.findings.base import CLEAN
from wtsctl.plan.findings import tokens
from wtsctl.plan.findings.rule import Hit
from wtsctl.plan.findings.subject import Subject

PART = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5"


def hits(text: str) -> list[Hit]:
    """What the rule finds in a catalog."""
    (rule,) = tokens.RULES
    assert rule.check is not None
    return list(rule.check(Subject(loaded(text), text, ())))


@pytest.mark.parametrize(
    "secret",
    [
        f"hf_{PART}",
        f"sk-{PART}",
        f"ghp_{PART}",
        f"github_pat_{PART}_{PART}",
        f"glpat-{PART}",
        f"sha256~{PART}{PART}",
        f"AKIA{PART[:16].upper()}",
        f"nvapi-{PART}{PART}",
        f"xoxb-{PART}",
        f"eyJ{PART}.eyJ{PART}.{PART}",
        "-----BEGIN RSA PRIVATE KEY-----",
        f"https://me:{PART}@example.com/v1",
    ],
)
def test_forms(secret: str) -> None:
    """Each form is found in a text and in a comment, at its place, and is not repeated in what is said of it."""
    in_text = changed(("prompt: Say hello.", f'prompt: "Say {secret}"'), text=CLEAN)
    in_comment = changed(("models:\n", f"models:  # {secret}\n"), text=CLEAN)
    for text, path in ((in_text, ("models", 0, "smoke", 0, "prompt")), (in_comment, ())):
        (hit,) = hits(text)
        assert hit.path == path
        assert secret not in hit.message + hit.hint
    assert hit.at == (10, 12)


@pytest.mark.parametrize(
    "harmless",
    ["disk-usage-of-all-the-nodes", "https://example.com:8000/v1", "sha256:" + "a" * 64, "hf_hub", "task-" + "b" * 30],
)
def test_ordinary_text(harmless: str) -> None:
    """What only looks a little like a secret is let pass."""
    assert hits(changed(("prompt: Say hello.", f'prompt: "Say {harmless}"'), text=CLEAN)) == []
