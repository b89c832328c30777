"""Which programs in a cache folder are whole: a record of what was put there, checked cheaply."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "stamp.json"


def whole(folder: Path) -> frozenset[str]:
    """The names of the programs in `folder` that are as they were when they were put there.

    Size and modification time are compared, the content only where the time differs, so that a check costs
    microseconds. A half-written program, or one without a record, is not whole.
    """
    return frozenset(name for name, record in _read(folder)["programs"].items() if _matches(folder / name, record))


def put(folder: Path, built: Path, names: Iterable[str], toolchain: str) -> None:
    """Move programs from `built` into `folder` and record them, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = _read(folder)
    stamp["go"] = toolchain
    for name in names:
        source = built / name
        with source.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            os.fsync(handle.fileno())
        source.replace(folder / name)
        status = (folder / name).stat()
        stamp["programs"][name] = {"size": status.st_size, "mtime": status.st_mtime_ns, "sha256": digest}
    temporary = folder / f".{NAME}.{os.getpid()}"
    with temporary.open("w") as handle:
        json.dump(stamp, handle, indent=1)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(folder / NAME)


def toolchain(folder: Path) -> str:
    """The Go release that the programs in `folder` were compiled with."""
    return str(_read(folder)["go"])


def _read(folder: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((folder / NAME).read_text())
        return {"go": stamp["go"], "programs": dict(stamp["programs"])}
    except (OSError, ValueError, KeyError, TypeError):
        # No stamp, or one that was cut off: nothing here can be trusted.
        return {"go": "", "programs": {}}


def _matches(path: Path, record: Any) -> bool:
    try:
        status = path.stat()
        if status.st_size != record["size"]:
            return False
        if status.st_mtime_ns == record["mtime"]:
            return True
        with path.open("rb") as handle:
            return bool(hashlib.file_digest(handle, "sha256").hexdigest() == record["sha256"])
    except (OSError, KeyError, TypeError):
        return False
