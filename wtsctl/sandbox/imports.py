"""Puts images into the node's containerd."""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

from wtsctl.errors import SandboxError
from wtsctl.sandbox import pause
from wtsctl.sandbox.config import CONTAINERD_SOCKET, PAUSE_IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wtsctl.sandbox.images import ImageArchive
    from wtsctl.sandbox.progress import Progress

IMAGES = "images.json"
"""Name of the file that says which content each image was imported with."""


class Node:
    """The node's image store.

    Args:
        pid: the sandbox's init; its root directory has containerd's socket.
        ctr: the program.
        record: file that says which content each image was imported with.
    """

    def __init__(self, pid: int, ctr: Path, record: Path) -> None:
        self._command = (str(ctr), f"--address=/proc/{pid}/root{CONTAINERD_SOCKET}", "--namespace=k8s.io", "images")
        self._record = record

    def add_pause(self, program: Path) -> None:
        """Import the pods' sandbox image unless it is there."""
        if PAUSE_IMAGE not in self.names():
            with tempfile.TemporaryFile() as handle:
                handle.write(pause.archive(program))
                handle.seek(0)
                self._import(PAUSE_IMAGE, handle)

    def add(self, archives: Iterable[ImageArchive], progress: Progress) -> None:
        """Import the archives whose content the node does not have.

        Raises:
            SandboxError: containerd refused one.
        """
        known = recorded(self._record)
        names = self.names()
        for archive in archives:
            if known.get(archive.reference) == archive.key and archive.reference in names:
                continue
            doing = f"import {archive.reference}"
            progress(f"{archive.size / 1e6:.0f} MB", doing=doing)
            with archive.path.open("rb") as handle:
                self._import(archive.reference, handle)
            known[archive.reference] = archive.key
            temporary = self._record.with_suffix(".part")
            temporary.write_text(json.dumps(known))
            temporary.replace(self._record)
            progress("", doing=doing)

    def names(self) -> frozenset[str]:
        """The names of the images in the store.

        Raises:
            SandboxError: containerd does not answer.
        """
        listed = self._ctr("list", "--quiet").decode().split()
        # The kubelet has each image under its digest as well.
        return frozenset(name for name in listed if "@" not in name and not name.startswith("sha256:"))

    def _import(self, reference: str, content: IO[bytes]) -> None:
        try:
            # Through an open file: containerd need not see the folder that it is in.
            self._ctr("import", "-", stdin=content)
        except SandboxError as error:
            raise SandboxError(f"cannot import the image {reference}: {error}") from error

    def _ctr(self, *arguments: str, stdin: IO[bytes] | None = None) -> bytes:
        answer = subprocess.run(
            [*self._command, *arguments], stdin=stdin or subprocess.DEVNULL, capture_output=True, check=False
        )
        if answer.returncode != 0:
            raise SandboxError(answer.stderr.decode(errors="replace").strip()[-400:])
        return answer.stdout


def recorded(record: Path) -> dict[str, str]:
    """Which content each image was imported with: reference to content key."""
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
