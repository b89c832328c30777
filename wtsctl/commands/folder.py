"""Text files into a folder, all or none: what stood there before stays until everything new is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wtsctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Written:
    """What a call changed, as paths relative to the folder, sorted.

    Attributes:
        files: everything that is there now because of the call.
        removed: files of an earlier call that are no longer wanted.
    """

    files: tuple[str, ...]
    removed: tuple[str, ...]


def write(
    folder: Path, files: Mapping[str, str], *, mark: str, owned: str, may_remove: bool, private: bool = False
) -> Written:
    """Make a folder hold `files`, beside whatever in it is not ours.

    Everything is first written to a folder beside the old files, on the same disk; a full disk or a missing
    permission shows there, with nothing changed. Then the files are moved into place one by one.

    Args:
        folder: made if missing.
        files: text by relative path; each begins with `mark`.
        mark: how a file of an earlier call begins. A file that begins otherwise is never touched.
        owned: glob of the paths where files of an earlier call are looked for.
        may_remove: whether files of an earlier call that are not among `files` go; if not, they are an error.
        private: whether only their owner may read the files, because Secrets are among them.

    Raises:
        UsageError: something foreign is in the way, or the files cannot be written; the message says what
            was changed.
    """
    try:
        _refuse_foreign(folder, files, mark)
        ours = set(_marked(folder, owned, mark))
        present = folder.exists()
    except OSError as error:
        raise _failed(error, f"nothing in {folder} was changed") from error
    removed = sorted(ours - files.keys())
    if removed and not may_remove:
        raise UsageError(
            f"{folder} also has manifests of what is not selected ({removed[0]} and {len(removed) - 1} more)"
            if len(removed) > 1
            else f"{folder} also has manifests of what is not selected ({removed[0]})",
            hint="render everything, or write the selection to another folder",
        )
    near = folder if present else folder.absolute().parent
    try:
        near.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".wtsctl-", dir=near))
    except OSError as error:
        raise _failed(error, f"nothing was written to {folder}") from error
    try:
        _stage(staging, files, folder, private=private)
        if present:
            _move(staging, folder, files, removed)
        else:
            # mkdtemp makes folders for the owner alone.
            staging.chmod(0o777 & ~_umask())
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Written(tuple(sorted(files)), tuple(removed))


def _refuse_foreign(folder: Path, files: Mapping[str, str], mark: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder")
    for name in files:
        path = folder / name
        for parent in _parts(folder, path):
            if parent.is_symlink():
                raise UsageError(
                    f"{parent} is a symbolic link, and what it leads to is not ours to change",
                    hint="remove it, or write to another folder",
                )
            if parent != path and parent.exists() and not parent.is_dir():
                raise UsageError(f"{parent} is a file where a folder has to be", hint="remove it, or write elsewhere")
        if path.exists() and not _is_marked(path, mark):
            raise UsageError(
                f"{path} was not written by wtsctl; nothing was changed",
                hint="move it away, or write to another folder",
            )


def _parts(folder: Path, path: Path) -> list[Path]:
    """A path and its parents, as far as they lie inside the folder."""
    inner = path.relative_to(folder)
    return [folder / part for part in (inner, *inner.parents[:-1])]


def _is_marked(path: Path, mark: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(mark.encode())) == mark.encode()


def _marked(folder: Path, owned: str, mark: str) -> Iterator[str]:
    """Our own files that are there, by relative path."""
    for path in folder.glob(owned):
        linked = any(part.is_symlink() for part in _parts(folder, path))
        if not linked and _is_marked(path, mark):
            yield path.relative_to(folder).as_posix()


def _stage(staging: Path, files: Mapping[str, str], folder: Path, *, private: bool) -> None:
    try:
        for name, text in files.items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Before anything is in it.
            path.touch(mode=0o600 if private else 0o666)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _failed(error, f"nothing in {folder} was changed") from error


def _move(staging: Path, folder: Path, files: Mapping[str, str], removed: list[str]) -> None:
    done = 0
    try:
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(folder / name)
            done += 1
        for name in removed:
            (folder / name).unlink()
            for parent in (folder / name).parents:
                if parent == folder or any(parent.iterdir()):
                    break
                parent.rmdir()
    except OSError as error:
        raise _failed(error, f"{done} of {len(files)} files in {folder} are new, the others are as before") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _failed(error: OSError, state: str) -> UsageError:
    reason = error.strerror or str(error)
    where = f" {error.filename}" if error.filename else ""
    return UsageError(f"cannot write{where}: {reason}; {state}")
