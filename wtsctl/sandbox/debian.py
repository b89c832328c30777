"""What the sandbox needs from the system, as Debian packages; the one table of it.

A need is probed by a command on PATH or by a file, so that a system which has it from elsewhere is left alone.
Packages are named for Debian and its derivatives; on another system the messages name what is missing.
"""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.errors import SandboxError
from wtsctl.sandbox import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Purpose(Enum):
    """What a part of the sandbox does with the system; the value completes "not installed, and needed to"."""

    COMPILE = "compile runc"
    CONTROL_PLANE = "start the control plane"
    NODE = "start the node"
    IMAGES = "build the images"
    BASE_IMAGE = "make the images' base, which cannot be pulled either"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the system has to have.

    Attributes:
        probe: a command on PATH, or an absolute path that has to exist.
        package: the Debian package that has it.
        why: what it is for.
    """

    probe: str
    package: str
    why: str


# runc is the only program with C in it; Go itself is no need, since Debian's is too old (see docs/adr/0005).
NEEDS: Mapping[Purpose, tuple[Need, ...]] = {
    Purpose.COMPILE: (
        Need("gcc", "gcc", "runc starts containers in C, before Go's threads exist"),
        Need("/usr/include/stdio.h", "libc6-dev", "the headers of that C"),
        Need("/usr/include/seccomp.h", "libseccomp-dev", "runc refuses pods' seccomp profiles without it"),
        Need("pkg-config", "pkg-config", "finds libseccomp for runc's build"),
    ),
    Purpose.CONTROL_PLANE: (
        Need("openssl", "openssl", "makes the cluster's certificates"),
        Need("setsid", "util-linux", "keeps the cluster running when the terminal is closed"),
    ),
    Purpose.NODE: (
        Need("ip", "iproute2", "makes the network namespace and its link to this machine"),
        Need("unshare", "util-linux", "makes the sandbox's namespaces"),
        Need("mount", "mount", "the kubelet mounts volumes with it"),
        Need("nft", "nftables", "kube-proxy in nftables mode and the CNI plugins write their rules with it"),
    ),
    Purpose.IMAGES: (
        Need("buildah", "buildah", "builds a Containerfile without a daemon"),
        Need("strip", "binutils", "takes 80 MB of debug information out of the model server"),
        Need("unshare", "util-linux", "keeps the build's mounts off this machine"),
        Need("setpriv", "util-linux", "ends the build with wtsctl"),
    ),
    Purpose.BASE_IMAGE: (
        Need("mmdebstrap", "mmdebstrap", "makes a Debian root filesystem from a mirror"),
        Need("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring", "verifies that mirror"),
    ),
}


def installed(probe: str) -> bool:
    """Whether the system has a command or, for an absolute path, a file."""
    return Path(probe).exists() if probe.startswith("/") else shutil.which(probe) is not None


def missing(*purposes: Purpose, has: Callable[[str], bool] = installed) -> tuple[Need, ...]:
    """The needs of these purposes that the system does not meet, each probe once, in the table's order."""
    needs = {need.probe: need for purpose in purposes for need in NEEDS[purpose]}
    return tuple(need for need in needs.values() if not has(need.probe))


def packages(needs: Iterable[Need]) -> tuple[str, ...]:
    """The Debian packages that meet these needs, each once."""
    return tuple(dict.fromkeys(need.package for need in needs))


def is_debian(os_release: Mapping[str, str] | None = None) -> bool:
    """Whether apt installs packages here: Debian, or what calls itself like it (Ubuntu, Raspberry Pi OS)."""
    if os_release is None:
        try:
            os_release = platform.freedesktop_os_release()
        except OSError:
            return False
    return "debian" in {os_release.get("ID", ""), *os_release.get("ID_LIKE", "").split()}


def error(purpose: Purpose, needs: tuple[Need, ...], *, debian: bool | None = None) -> SandboxError:
    """One error for what is missing: what, why, and the line that installs it."""
    what = "; ".join(f"{need.probe} ({need.why})" for need in needs)
    return SandboxError(f"cannot {purpose.value}: not installed: {what}", hint=_hint(needs, debian=debian))


def require(purpose: Purpose, has: Callable[[str], bool] = installed) -> None:
    """Raise unless the system meets the needs of a purpose.

    Raises:
        SandboxError: it does not; the message names everything that is missing.
    """
    needs = missing(purpose, has=has)
    if needs:
        raise error(purpose, needs)


def install(needs: tuple[Need, ...], log: Path, progress: Callable[[str], None]) -> None:
    """Install the packages of these needs with apt; nothing when there are none.

    Only for a user who asked for it (`wtsctl sandbox up --install-packages`): it changes the machine, and what
    it installs stays when the sandbox goes.

    Raises:
        SandboxError: not root, not Debian, or apt failed; the message has the last lines of its output.
    """
    if not needs:
        return
    names = packages(needs)
    if not is_debian():
        raise SandboxError(f"cannot install {', '.join(names)}: this is no Debian", hint=_hint(needs))
    if os.geteuid() != 0:
        raise SandboxError(f"cannot install {', '.join(names)}: that needs root", hint=_hint(needs))
    progress(f"installing Debian packages: {' '.join(names)}")
    # A package manager that runs already (unattended upgrades) is waited for; a removal is refused.
    options = ("-y", "-o", "DPkg::Lock::Timeout=120")
    for arguments in (("update",), ("install", "--no-install-recommends", "--no-remove", *names)):
        process.run(
            ["apt-get", *options, *arguments],
            doing=f"install {', '.join(names)}",
            log=log,
            env={"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"},
        )
    left = tuple(need for need in needs if not installed(need.probe))
    if left:
        raise SandboxError(f"apt installed {', '.join(names)}, and still missing: {_probes(left)}")


def _hint(needs: tuple[Need, ...], *, debian: bool | None = None) -> str:
    if is_debian() if debian is None else debian:
        sudo = "" if os.geteuid() == 0 else "sudo "
        return f"{sudo}apt-get install --no-install-recommends {' '.join(packages(needs))}"
    return f"install what gives {_probes(needs)}; on Debian: {' '.join(packages(needs))}"


def _probes(needs: Iterable[Need]) -> str:
    return ", ".join(need.probe for need in needs)
