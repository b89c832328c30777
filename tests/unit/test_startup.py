"""What starting wtsctl costs: `--help` and `--version` must not load what only a command needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from wtsctl import __version__

# pydantic is not among them: typer itself loads it to read the options of a subcommand.
HEAVY = {"kubernetes", "httpx", "jinja2", "yaml", "rich"}

_SHOW_MODULES = """
import json, sys
sys.argv = ["wtsctl", *json.loads(sys.argv[1])]
import runpy
try:
    runpy.run_module("wtsctl", run_name="__main__")
except SystemExit as end:
    code = end.code
sys.stderr.write(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["deploy", "--help"], ["status", "--help"], ["smoke-test", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Help is text: none of the libraries that talk to clusters, models or screens is imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", _SHOW_MODULES, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert "Usage:" in done.stdout
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules)


def test_help_cuts_no_description() -> None:
    """On 80 columns the list of commands has each first sentence whole."""
    done = subprocess.run(
        [sys.executable, "-m", "wtsctl", "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = done.stdout.partition("Commands:\n")[2].splitlines()
    assert len(listed) > 8
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def test_version_loads_not_even_typer() -> None:
    """Scripts ask for the version often, so it is answered before the command line is built."""
    program = "import sys; sys.argv = ['wtsctl', '--version']\nfrom wtsctl.__main__ import main\nmain()\n"
    program += "sys.exit('typer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"wtsctl {__version__}\n")
