"""Builds the sandbox's images with buildah, or finds them in the cache."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.errors import SandboxError
from wtsctl.sandbox import debian, process
from wtsctl.sandbox.images import archive, base, payload
from wtsctl.sandbox.lock import locked

if TYPE_CHECKING:
    from collections.abc import Callable

# Measured: the storage of the build, its context and the archive together peak at this many bytes.
SPACE = 1_500_000_000
# buildah keeps a cache here, whatever storage it is told to use. It gets an empty one in its mount namespace; what
# it is mounted on is removed again if nobody else has anything in it.
_ELSEWHERE = Path("/var/lib/containers")


def references() -> tuple[str, ...]:
    """The full references of the images that `ensure` returns, without building anything."""
    return (archive.reference(archive.NAME, archive.TAG),)


def key() -> str:
    """The content key of the image: its Containerfile, its server, its pins, its base, its architecture."""
    source = payload.SOURCE
    inputs = [(name, (source / name).read_bytes()) for name in ("Containerfile", "server.py", "requirements.txt")]
    return archive.content_key([*inputs, ("base", base.recipe()), ("machine", platform.machine().encode())])


def ensure(cache_dir: Path, progress: Callable[[str], None]) -> tuple[archive.ImageArchive, ...]:
    """Return the archives of the sandbox's images, building those that the cache does not have.

    Args:
        cache_dir: the sandbox's cache folder; `images/` and `logs/` in it are written.
        progress: told what is being done, one line each; not called when everything is there.

    Raises:
        SandboxError: not root, a tool is missing, the network does not answer, the disk is full, or buildah
            failed; the message has the last lines of its output.
    """
    wanted = key()
    home = cache_dir / "images"
    path = home / f"llamacpp-{wanted}.tar"
    found = archive.find(path, wanted)
    if found is not None:
        return (found,)
    _check(home)
    files = payload.ensure(cache_dir, progress)
    try:
        with locked(home / "build.lock", "another wtsctl is building the image", progress):
            found = archive.find(path, wanted)
            return (found if found is not None else _build(path, wanted, files, cache_dir, progress),)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _full(home) from error
        raise SandboxError(f"cannot build the sandbox's image: {error}") from error


def _check(home: Path) -> None:
    """Refuse before anything is downloaded what cannot work at the end."""
    if os.geteuid() != 0:
        raise SandboxError(
            "cannot build the sandbox's image: buildah needs root to build without a container daemon",
            hint="only the node uses the image, and the node needs root too; `--no-node` goes without both",
        )
    debian.require(debian.Purpose.IMAGES)
    home.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(home).free < SPACE:
        raise _full(home)


def _full(home: Path) -> SandboxError:
    free = shutil.disk_usage(home).free
    return SandboxError(
        f"cannot build the sandbox's image: the disk that holds {home} has {free / 1e9:.1f} GB free",
        hint=f"the build needs {SPACE / 1e9:.1f} GB for a minute, and 0.5 GB stay in the cache",
    )


def _build(
    path: Path, wanted: str, files: payload.Payload, cache_dir: Path, progress: Callable[[str], None]
) -> archive.ImageArchive:
    home = path.parent
    log = cache_dir / "logs" / "image.log"
    for stale in home.glob("build-*"):
        shutil.rmtree(stale)
    if path.exists():
        progress(f"the cached image {path.name} is incomplete: building it again")
    work = Path(tempfile.mkdtemp(prefix="build-", dir=home))
    try:
        made = _Builder(work, log, progress).run(home, files)
        size, sha256 = made.stat().st_size, archive.digest(made)
        made.replace(path)
        result = archive.ImageArchive(archive.NAME, archive.TAG, wanted, path, size, sha256)
        archive.record(result)
    finally:
        shutil.rmtree(work)
        with suppress(OSError):
            _ELSEWHERE.rmdir()
    for old in (*home.glob("llamacpp-*"), *home.glob("base-*.tar")):
        if old.stem != path.stem and old != base.cached(home):
            old.unlink()
    return result


@dataclass(frozen=True, slots=True)
class _Builder:
    """buildah with storage of its own, so that nothing stays on the machine but the archive."""

    work: Path
    log: Path
    progress: Callable[[str], None]

    def run(self, home: Path, files: payload.Payload) -> Path:
        """Build the image and return its archive, still in the work folder."""
        from_image = self._base(home)
        context = self._context(files)
        self.progress("building the model server's image with buildah")
        reference = archive.reference(archive.NAME, archive.TAG)
        self._buildah(
            *("build", "--pull=never", "--layers=false", f"--build-arg=BASE={from_image}"),
            *("--file", str(context / "Containerfile"), "--tag", reference, str(context)),
        )
        made = self.work / "image.tar"
        self._buildah("push", "--quiet", reference, f"docker-archive:{made}:{reference}")
        return made

    def _base(self, home: Path) -> str:
        """Put the base into buildah's storage and return its name there."""
        try:
            self._buildah("pull", "--quiet", base.PULLED, timeout=base.PULL_SECONDS)
        except SandboxError:
            # The ordinary case behind a firewall, and no failure: the log has the registry's answer.
            self.progress(f"{base.PULLED} cannot be pulled")
        else:
            return base.PULLED
        tar = base.tarball(home, self.work, self.log, self.progress)
        name, image = "wtsctl-base", "localhost/wtsctl-base"
        self._buildah("from", "--name", name, "scratch")
        self._buildah("add", "--quiet", name, str(tar), "/")
        self._buildah("commit", "--quiet", "--rm", name, image)
        return image

    def _context(self, files: payload.Payload) -> Path:
        """Lay out the folder that the Containerfile copies from."""
        context = self.work / "context"
        shutil.copytree(files.site / "xllamacpp", context / "xllamacpp", ignore=shutil.ignore_patterns("__pycache__"))
        # Three quarters of the library are debug information.
        for library in (context / "xllamacpp").glob("*.so"):
            process.run(["strip", "--strip-unneeded", str(library)], doing="strip the model server", log=self.log)
        for licence in files.site.glob("xllamacpp-*.dist-info/licenses/LICENSE"):
            shutil.copy(licence, context / "LICENSE.xllamacpp")
        for name in ("Containerfile", "server.py"):
            shutil.copy(payload.SOURCE / name, context)
        shutil.copy(files.licence, context)
        shutil.copy(files.model, context)
        for item in context.rglob("*"):
            item.chmod(0o755 if item.is_dir() else 0o644)
        return context

    def _buildah(self, *arguments: str, timeout: float | None = None) -> None:
        _ELSEWHERE.mkdir(parents=True, exist_ok=True)
        storage = ("--root", str(self.work / "storage"), "--runroot", str(self.work / "run"))
        process.run(
            ["buildah", *storage, *arguments],
            doing="build the sandbox's image",
            log=self.log,
            env={"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs", "TMPDIR": str(self.work)},
            timeout=timeout,
            cover=_ELSEWHERE,
        )
