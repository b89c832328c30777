"""Finding a Go to compile with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import ExitCode, SandboxError
from wtsctl.sandbox import toolchain

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, version: str, code: int = 0) -> Path:
    """A program that answers as `go env GOVERSION` does."""
    folder.mkdir(parents=True, exist_ok=True)
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho {version}\nexit {code}\n")
    go.chmod(0o755)
    return go


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty; and nothing called `go` to import."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("GOTOOLCHAIN", raising=False)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    return folder


def test_the_machines_go_is_taken(path: Path) -> None:
    """A new enough `go` on PATH is used, and remembered with its release."""
    go = install(path, "go1.26.8")
    assert toolchain.find() == toolchain.Go(go, "go1.26.8")


@pytest.mark.usefixtures("path")
def test_no_go_names_both_remedies() -> None:
    """Whoever has no Go learns that there are two ways to get it, and the exit code is the sandbox's."""
    with pytest.raises(SandboxError, match=r"needs Go 1\.26 or newer") as caught:
        toolchain.find()
    assert "https://go.dev/dl/" in str(caught.value)
    assert "pip install 'wtsctl[sandbox]'" in str(caught.value)
    assert caught.value.exit_code is ExitCode.CLUSTER


def test_debians_go_is_too_old(path: Path) -> None:
    """Debian 12's 1.19 cannot even read the module, and the error says which program was found."""
    go = install(path, "go1.19.8")
    with pytest.raises(SandboxError, match=rf"{go} is go1\.19\.8"):
        toolchain.find()


def test_a_go_that_fetches_its_successor_is_enough(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 1.21 Go downloads the release that a module asks for, unless it is told to stay as it is."""
    go = install(path, "go1.22.1")
    assert toolchain.find().command == go
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    with pytest.raises(SandboxError, match=r"go1\.22\.1"):
        toolchain.find()


def test_a_broken_go_is_said_to_be_broken(path: Path) -> None:
    """A `go` that does not run is named, and no traceback is shown."""
    install(path, "", code=1)
    with pytest.raises(SandboxError, match="is broken"):
        toolchain.find()


def test_the_python_package_is_the_second_choice(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `wtsctl[sandbox]` installs Go as a package, with its own GOROOT; an old one on PATH gives way."""
    install(path, "go1.19.8")
    packages = tmp_path / "packages"
    go = install(packages / "go" / "bin", "go1.27.3")
    (packages / "go" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(packages))
    assert toolchain.find() == toolchain.Go(go, "go1.27.3", packages / "go")
