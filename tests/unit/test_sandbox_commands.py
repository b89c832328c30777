"""The `sandbox` commands as a user types them, where they end before anything is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def wtsctl(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `wtsctl sandbox …` with all its files under `home`."""
    own = {"XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "wtsctl", "sandbox", *arguments],
        env={**os.environ, **own, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_status_of_nothing_is_exit_code_5(tmp_path: Path) -> None:
    """Never started: one sentence for people, a document for scripts, and no file is made."""
    done = wtsctl(tmp_path, "status", "-o", "json")
    assert done.returncode == 5
    document = json.loads(done.stdout)
    assert document["data"]["created"] is False
    assert document["data"]["components"] == []
    assert document["errors"][0]["message"] == "the sandbox 'wtsctl' was never started"
    assert "was never started" in wtsctl(tmp_path, "status").stdout
    assert list(tmp_path.iterdir()) == []


def test_env_of_nothing_says_how_to_start(tmp_path: Path) -> None:
    """`eval` of its output does nothing, and the reason is on stderr."""
    done = wtsctl(tmp_path, "env")
    assert (done.returncode, done.stdout) == (4, "")
    assert "was never started" in done.stderr
    assert "wtsctl sandbox up" in done.stderr


@pytest.mark.parametrize("arguments", [["down"], ["down", "--purge"]])
def test_down_of_nothing_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    """What is not there need not be taken down; no file is left."""
    done = wtsctl(tmp_path, *arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("The sandbox 'wtsctl' was not running")
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--name", "No Good"], "cannot be the name of a sandbox"),
        (["up", "--timeout", "soon"], "--timeout"),
        (["up", "--no-node", "--api-port", "99999"], "--api-port"),
        (["down", "--keep-cache"], "--keep-cache goes with --purge"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Exit code 2, a message that names the option, and nothing is started."""
    done = wtsctl(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="without root there is no node to choose a port for")
def test_a_port_is_for_the_control_plane_alone(tmp_path: Path) -> None:
    """With a node the API server has its own address, where no port can be in use."""
    done = wtsctl(tmp_path, "up", "--api-port", "7443")
    assert done.returncode == 2
    assert "--api-port goes with --no-node" in done.stderr


def test_no_go_is_one_clear_message(tmp_path: Path) -> None:
    """On a machine without a compiler the start ends at once, with both remedies and without a traceback."""
    for name in ("openssl", "setsid"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    done = wtsctl(tmp_path, "up", "--no-node", PATH=str(tmp_path))
    assert done.returncode == 4
    assert "needs Go 1.26 or newer" in done.stderr
    assert "wtsctl[sandbox]" in done.stderr
    assert "Traceback" not in done.stderr
