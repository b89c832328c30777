"""Mounts inside the sandbox's mount namespace, by the system call; init alone uses it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# <sys/mount.h>
_BIND, _REC, _SHARED = 0x1000, 0x4000, 0x100000
_NOSUID, _NODEV, _NOEXEC = 0x2, 0x4, 0x8


def build(binds: list[tuple[str, str]], files: dict[str, str]) -> None:
    """Give this mount namespace its own /proc and /run, and put folders and files over others.

    Args:
        binds: folders and where to mount them, in order; a target under /run is made.
        files: paths to texts: a file with the text is mounted over each path that exists.
    """
    # Opened first: what is mounted below may hide them.
    opened = [(os.open(source, os.O_PATH | os.O_CLOEXEC), target) for source, target in binds]
    # Shared among the sandbox's own namespaces (the host's were cut off by `unshare`), so that volumes with
    # mount propagation work.
    _mount(None, "/", None, _REC | _SHARED)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    # Sockets and process state as after a boot; the host's stay out of reach.
    _mount("tmpfs", "/run", "tmpfs", _NOSUID | _NODEV, "mode=755")
    for descriptor, target in opened:
        if target.startswith("/run/"):
            Path(target).mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", target, None, _BIND)
        os.close(descriptor)
    scratch = Path("/run/wtsctl/files")
    scratch.mkdir(parents=True, exist_ok=True)
    for number, (path, text) in enumerate(files.items()):
        if Path(path).exists():
            source = scratch / str(number)
            source.write_text(text)
            _mount(str(source), path, None, _BIND)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = (source, target, kind)
    encoded = [None if value is None else value.encode() for value in values]
    if libc.mount(*encoded, ctypes.c_ulong(flags), None if options is None else options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount {source or kind or ''} on {target}: {os.strerror(code)}")
