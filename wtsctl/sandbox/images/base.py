"""The image's base: Debian trixie, slim. Pulled where a registry answers, made with mmdebstrap where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wtsctl.sandbox import debian, process
from wtsctl.sandbox.images.archive import content_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUITE = "trixie"
PULLED = f"docker.io/library/debian:{SUITE}-slim"
# Without a name server or a route a pull fails in under a second; this bounds a network that swallows packets.
PULL_SECONDS = 60.0
# llama.cpp's library needs libgomp1 (OpenMP); python3-minimal has all of the standard library that it imports.
PACKAGES = ("python3-minimal", "libgomp1")
# Named, since the apt of a derivative (Ubuntu) does not trust Debian's keys by itself.
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What Debian's own slim images leave out; the licences stay.
_DPKG = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
)


def recipe() -> bytes:
    """What the base is made from, as text for the content key."""
    return "\n".join((SUITE, PULLED, *PACKAGES, *_DPKG)).encode()


def cached(home: Path) -> Path:
    """Where `home` keeps the base, once it was made."""
    return home / f"base-{content_key([('recipe', recipe())])}.tar"


def tarball(home: Path, work: Path, log: Path, progress: Callable[[str], None]) -> Path:
    """Return the root filesystem of the base, made with mmdebstrap unless `home` has it.

    Args:
        home: the folder that keeps `base-KEY.tar`.
        work: a folder for temporary files, on the same filesystem.
        log: where mmdebstrap's output goes.
        progress: told when it is being made.

    Raises:
        SandboxError: mmdebstrap is missing, its mirror does not answer, or the disk is full.
    """
    path = cached(home)
    if path.is_file():
        return path
    debian.require(debian.Purpose.BASE_IMAGE)
    progress(f"making a Debian {SUITE} base with mmdebstrap (about a minute)")
    part = work / "base.tar"
    process.run(
        [
            *("mmdebstrap", "--mode=root", "--variant=minbase", f"--keyring={_KEYRING}"),
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt={option}" for option in _DPKG),
            *(SUITE, str(part)),
        ],
        doing=f"make a Debian {SUITE} base",
        log=log,
        env={"TMPDIR": str(work)},
        contained=True,
    )
    part.rename(path)
    return path
