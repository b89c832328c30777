"""What an image archive is called, what it was made from, and whether the one in the cache is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "wtsctl-sandbox/llamacpp"
TAG = "smollm2-135m"
_REGISTRY = "docker.io"


@dataclass(frozen=True, slots=True)
class ImageArchive:
    """An image in one file, as `ctr -n k8s.io images import PATH` takes it.

    Attributes:
        name: the repository, without a registry.
        tag: the tag that manifests use; it stays when the content changes.
        key: the content key; another key means that the image has to be imported again.
        path: the docker-archive.
        size: its size in bytes.
        sha256: its digest, in hexadecimal.
    """

    name: str
    tag: str
    key: str
    path: Path
    size: int
    sha256: str

    @property
    def reference(self) -> str:
        """The name that containerd stores it under, and that the kubelet asks for."""
        return reference(self.name, self.tag)


def reference(name: str, tag: str) -> str:
    """The full reference of a short image name: containerd's CRI puts `docker.io/` before `user/name`."""
    return f"{_REGISTRY}/{name}:{tag}"


def content_key(inputs: Iterable[tuple[str, bytes]]) -> str:
    """One key for named inputs; it changes with any name or byte of them, not with their order."""
    digest = hashlib.sha256()
    for name, content in sorted(inputs):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def record(archive: ImageArchive) -> None:
    """Write down that the archive is complete; call it when the file has its final name."""
    text = json.dumps({"key": archive.key, "size": archive.size, "sha256": archive.sha256})
    part = _record_path(archive.path).with_suffix(".part")
    part.write_text(text + "\n")
    part.replace(_record_path(archive.path))


def find(path: Path, key: str) -> ImageArchive | None:
    """The archive at `path` if it was recorded as complete under `key` and still has its size, else None.

    The digest is not computed again, which would cost most of a second at each start: containerd checks the
    digest of every layer when it imports the archive.
    """
    try:
        known = json.loads(_record_path(path).read_text())
        size = path.stat().st_size
    except (OSError, ValueError):
        return None
    if not isinstance(known, dict) or known.get("key") != key or known.get("size") != size:
        return None
    return ImageArchive(NAME, TAG, key, path, size, str(known.get("sha256", "")))


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")
