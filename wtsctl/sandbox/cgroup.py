"""The cgroup that a sandbox's pods live under, on cgroup v1 and v2."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from wtsctl.errors import SandboxError

ROOT = Path("/sys/fs/cgroup")
# What the kubelet needs of v2, where a controller has to be handed down explicitly.
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
# Removal waits for the kernel to let the last processes go.
_REMOVE_SECONDS = 10.0


def unified(root: Path = ROOT) -> bool:
    """Whether this machine has cgroup v2 alone, and not v1 or both."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> tuple[Path, ...]:
    """Where a cgroup of ours has a folder: the one tree of v2, or each controller's of v1."""
    if unified(root):
        return (root,)
    # `cpu` is often a link to `cpu,cpuacct`: one folder, not two.
    return tuple(sorted({path.resolve() for path in root.iterdir() if path.is_dir()})) if root.exists() else ()


def create(name: str, root: Path = ROOT) -> None:
    """Make the cgroup in every hierarchy; what is there stays.

    Raises:
        SandboxError: there are no cgroups, or they cannot be changed.
    """
    found = hierarchies(root)
    if not found:
        raise SandboxError(f"no cgroups are mounted on {root}", hint="run the control plane alone with --no-node")
    try:
        if unified(root):
            _hand_down(root)
        for hierarchy in found:
            path = hierarchy / name
            path.mkdir(exist_ok=True)
            if unified(root):
                _hand_down(path)
            for file in ("cpuset.cpus", "cpuset.mems"):
                # In v1 a new cpuset has no processors, and nothing can run in it.
                if (hierarchy / file).exists() and not unified(root) and not (path / file).read_text().strip():
                    (path / file).write_text((hierarchy / file).read_text())
    except OSError as error:
        raise SandboxError(
            f"cannot make the cgroup {name}: {error.strerror} ({error.filename})",
            hint="in a container, cgroups are often read-only; run the control plane alone with --no-node",
        ) from error


def _hand_down(path: Path) -> None:
    """Let the children of a v2 cgroup have their own limits."""
    offered = set((path / "cgroup.controllers").read_text().split())
    handed = set((path / "cgroup.subtree_control").read_text().split())
    missing = [name for name in _CONTROLLERS if name in offered - handed]
    if missing:
        (path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the cgroup and all below it; nothing runs in it any more.

    Raises:
        SandboxError: something still does.
    """
    deadline = time.monotonic() + _REMOVE_SECONDS
    while True:
        left = [path for hierarchy in hierarchies(root) if (path := hierarchy / name).exists() and not _remove(path)]
        if not left:
            return
        if time.monotonic() > deadline:
            raise SandboxError(f"cannot remove the cgroup {left[0]}: something still runs in it")
        time.sleep(0.05)


def _remove(path: Path) -> bool:
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not path.exists()


def exists(name: str, root: Path = ROOT) -> bool:
    """Whether any hierarchy has the cgroup."""
    return any((hierarchy / name).exists() for hierarchy in hierarchies(root))
