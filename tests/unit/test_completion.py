"""Completion in the shell: names from the catalog, and silence where there is none to read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def offered(folder: Path, line: str) -> list[str]:
    """What bash is offered at the end of a command line; nothing may be said on stderr."""
    words = line.split(" ")
    environment = os.environ | {
        "_WTSCTL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    # Under the name that a shell knows the command by, as the completion's variable has it.
    program = "import sys; sys.argv[0] = 'wtsctl'; from wtsctl.cli import app; app(prog_name='wtsctl')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("wtsctl render gran", ["granite-8b", "granite"]),
        ("wtsctl deploy granite-8b gran", ["granite"]),
        ("wtsctl status --profile ", ["sandbox"]),
        ("wtsctl templates show vllm/s", ["vllm/service.yaml.j2"]),
        ("wtsctl smoke-test nothing-", []),
    ],
)
def test_names_are_offered(line: str, names: list[str]) -> None:
    """Models by name and alias, without those that stand there; profiles; templates."""
    assert offered(ROOT, line) == names


@pytest.mark.parametrize(
    "content", [None, b"", b"models: [", b"\xff\xfe", b"models: 7\nprofiles: []\n", b"- a\n", b"models: [{name: [a]}]"]
)
def test_no_catalog_offers_nothing_and_says_nothing(tmp_path: Path, content: bytes | None) -> None:
    """A catalog that is missing, broken or of another shape is no error while somebody types."""
    if content is not None:
        (tmp_path / "models.yaml").write_bytes(content)
    assert offered(tmp_path, "wtsctl render ") == []


def test_the_catalog_named_on_the_line_is_read(tmp_path: Path) -> None:
    """--file before the name decides which catalog the names are from."""
    (tmp_path / "other.yaml").write_text("models: [{name: mine}, {name: yours}]\n")
    assert offered(tmp_path, "wtsctl render -f other.yaml m") == ["mine"]
