"""The documentation says what the program does, and nothing it does not."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from wtsctl.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])


def test_exit_codes_page_is_the_table() -> None:
    """docs/reference/exit-codes.md lists exactly the codes of errors.py, with their names."""
    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", page, re.MULTILINE)
    assert rows == [(str(int(code)), code.name) for code in ExitCode]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the project."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_listed() -> None:
    """docs/adr/README.md links to each decision, in order."""
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text())
    assert listed == sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))


def test_every_command_is_documented() -> None:
    """docs/reference/commands.md is what the program says of its commands and options today."""
    written = runpy.run_path(str(ROOT / "docs/reference/generate_commands.py"))["page"]()
    assert (ROOT / "docs/reference/commands.md").read_text() == written, "run `make docs`"


def test_every_environment_variable_is_documented() -> None:
    """What the program reads from its environment by name stands in docs/reference/environment.md."""
    sources = [path.read_text() for path in (ROOT / "wtsctl").rglob("*.py")]
    used = {name for text in sources for name in re.findall(r"[\"'](WTSCTL_[A-Z_]+)[\"']", text)}
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/reference/environment.md").read_text()))
    assert used, "the pattern finds nothing: this test would pass for any page"
    assert used <= documented
