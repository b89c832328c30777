"""What the sandbox needs from the system, and how it says what is missing."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import ExitCode, SandboxError
from wtsctl.sandbox import debian
from wtsctl.sandbox.debian import NEEDS, Need, Purpose

if TYPE_CHECKING:
    from pathlib import Path


def nothing(_probe: str) -> bool:
    """Stand for a system that has nothing."""
    return False


def test_every_need_has_a_probe_a_package_and_a_reason() -> None:
    """The table holds nothing that apt or a shell would misread, and covers every purpose."""
    assert set(NEEDS) == set(Purpose)
    for needs in NEEDS.values():
        for need in needs:
            assert re.fullmatch(r"/[\w./-]+|[a-z0-9-]+", need.probe), need
            assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", need.package), need
            assert need.why


def test_missing_lists_what_the_system_lacks_once() -> None:
    """A probe that two purposes share is reported once, and what is there is not reported."""
    both = debian.missing(Purpose.NODE, Purpose.IMAGES, has=lambda probe: probe != "unshare")
    assert [need.probe for need in both] == ["unshare"]


def test_missing_is_empty_on_a_complete_system() -> None:
    """A system that has everything lacks nothing."""
    assert debian.missing(*Purpose, has=lambda _probe: True) == ()


def test_packages_are_named_once() -> None:
    """Two commands of one package give one name for apt."""
    assert debian.packages(debian.missing(Purpose.NODE, has=nothing)).count("util-linux") == 1


def test_installed_looks_at_commands_and_files(tmp_path: Path) -> None:
    """A probe with a slash is a file, another is looked up on PATH."""
    there = tmp_path / "seccomp.h"
    there.touch()
    assert debian.installed(str(there))
    assert not debian.installed(str(tmp_path / "absent.h"))
    assert debian.installed("sh")
    assert not debian.installed("no-such-command-as-this")


def test_error_on_debian_gives_the_line_to_run() -> None:
    """The message says what and why, the hint is one apt-get line with every package."""
    needs = debian.missing(Purpose.COMPILE, has=nothing)
    problem = debian.error(Purpose.COMPILE, needs, debian=True).problems[0]
    assert problem.message.startswith("cannot compile runc: not installed: gcc (")
    assert problem.hint.removeprefix("sudo ") == (
        "apt-get install --no-install-recommends gcc libc6-dev libseccomp-dev pkg-config"
    )
    assert problem.hint.startswith("sudo ") == (os.geteuid() != 0)


def test_error_elsewhere_names_commands_not_apt() -> None:
    """On a system without apt the hint names what is missing and gives no line that cannot work."""
    needs = (Need("nft", "nftables", "rules"),)
    problem = debian.error(Purpose.NODE, needs, debian=False).problems[0]
    assert problem.hint == "install what gives nft; on Debian: nftables"


def test_require_raises_with_the_sandbox_exit_code() -> None:
    """A missing need ends the command with the exit code of a sandbox that cannot start."""
    with pytest.raises(SandboxError, match=r"cannot start the control plane: not installed: openssl") as raised:
        debian.require(Purpose.CONTROL_PLANE, has=nothing)
    assert raised.value.exit_code is ExitCode.CLUSTER


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ({"ID": "debian"}, True),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, True),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, True),
        ({"ID": "fedora"}, False),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, False),
        ({}, False),
    ],
)
def test_debian_and_its_derivatives_are_known(os_release: dict[str, str], *, expected: bool) -> None:
    """A system is Debian-like by its os-release, not by what happens to be on PATH."""
    assert debian.is_debian(os_release) is expected


def test_install_of_nothing_does_nothing(tmp_path: Path) -> None:
    """With nothing missing apt is not run, so no log appears and no root is needed."""
    said: list[str] = []
    debian.install((), tmp_path / "apt.log", said.append)
    assert not said
    assert not (tmp_path / "apt.log").exists()


@pytest.mark.usefixtures("unprivileged")
def test_install_without_root_is_refused(tmp_path: Path) -> None:
    """Without root nothing is run, and the hint is what the user can run."""
    needs = (Need("nft", "nftables", "rules"),)
    with pytest.raises(SandboxError, match="nftables") as raised:
        debian.install(needs, tmp_path / "apt.log", lambda _line: None)
    assert "nftables" in raised.value.problems[0].hint
