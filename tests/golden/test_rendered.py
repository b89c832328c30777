"""Rendered manifests, whole and as text: each case is a folder with a models.yaml and what it renders to.

`WTSCTL_UPDATE_GOLDEN=1 pytest tests/golden` rewrites every expected.yaml; look at the diff before committing it.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render.manifest import render
from wtsctl.render.tree import stream

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases"
UPDATE = os.environ.get("WTSCTL_UPDATE_GOLDEN") == "1"


def _rendered(case: Path) -> str:
    """What a case renders to. Without a models.yaml of its own it is the project's; `profile` names a profile."""
    own, profile = case / "models.yaml", case / "profile"
    loaded = read_catalog(
        own if own.exists() else ROOT / "models.yaml", profile.read_text().strip() if profile.exists() else None
    )
    return stream(render(loaded.catalog, read_templates(None), parts=True))


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_renders_as_expected(case: Path) -> None:
    """A catalog renders to exactly the manifests that were reviewed, in the same order."""
    expected, rendered = case / "expected.yaml", _rendered(case)
    if UPDATE:
        expected.write_text(rendered)
        pytest.skip(f"{expected.relative_to(ROOT)} was rewritten (WTSCTL_UPDATE_GOLDEN=1)")
    assert expected.exists(), f"{expected.relative_to(ROOT)} is missing; write it with WTSCTL_UPDATE_GOLDEN=1"
    diff = difflib.unified_diff(
        expected.read_text().splitlines(), rendered.splitlines(), "expected.yaml", "rendered", lineterm=""
    )
    difference = "\n".join(diff)
    assert not difference, f"{case.name} renders differently:\n{difference}"
