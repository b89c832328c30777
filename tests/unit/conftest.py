"""The command line in an empty folder, and kubectl without a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.sandboxes import CONTROL_PLANE, REQUIRED
from wtsctl.cli import app
from wtsctl.sandbox.layout import Layout

Run = Callable[..., Result]


@pytest.fixture
def wtsctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return run


@pytest.fixture(scope="session")
def kubectl(request: pytest.FixtureRequest) -> str:
    """Kubectl's path; it builds kustomize trees without a cluster."""
    found = shutil.which("kubectl")
    if found is None and REQUIRED:
        # A bare machine has the one that the tests on a real cluster compile.
        request.getfixturevalue("control_plane")
        return str(Layout.of(CONTROL_PLANE).state / "bin" / "kubectl")
    if found is None:
        pytest.skip("kubectl is not on PATH")
    return found
