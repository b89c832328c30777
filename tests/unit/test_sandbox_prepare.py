"""What is decided before a start: storage, ports, a shell's variables."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from wtsctl.sandbox import prepare
from wtsctl.sandbox.layout import Layout

PLAN = {"address": "10.213.0.2", "server": "https://10.213.0.2:6443"}
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["22 1 8:1 / / rw - ext4 /dev/sda1 rw"], "overlayfs"),
        (["22 1 0:50 / / rw - overlay overlay rw,lowerdir=/a"], "native"),
        (["22 1 0:50 / / rw - overlay overlay rw", "23 22 8:1 / /data rw - xfs /dev/sdb rw"], "overlayfs"),
        (["22 1 8:1 / / rw - ext4 /dev/sda1 rw", "23 22 0:50 / /data rw - overlay overlay rw"], "native"),
        (["22 1 8:1 / / rw - ext4 /dev/sda1 rw", "23 22 0:50 / /data/b rw - overlay overlay rw"], "overlayfs"),
        (["23 22 0:50 / /data rw - overlay overlay rw", "24 23 8:1 / /data rw - ext4 /dev/sda1 rw"], "overlayfs"),
    ],
)
def test_layers_are_copied_where_they_cannot_be_stacked(lines: list[str], expected: str) -> None:
    """In a container the state is on an overlay, and the kernel stacks no overlay on another."""
    assert prepare.snapshotter(Path("/data/a"), "\n".join(lines)) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
def test_a_real_overlay_is_found(tmp_path: Path) -> None:
    """The kernel's own words for an overlay, with a space in its path, are understood."""
    target = tmp_path / "a folder"
    for name in ("lower", "upper", "work", target.name):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = 'mount -t overlay -o "$1" overlay "$2" && cat /proc/self/mountinfo'
    command = ["unshare", "-m", "sh", "-c", script, "sh", options, str(target)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip(f"no overlay can be mounted here: {answer.stderr.strip()}")
    assert prepare.snapshotter(target / "state", answer.stdout) == "native"
    assert prepare.snapshotter(tmp_path, answer.stdout) == "overlayfs"


def test_a_port_with_a_listener_is_not_free() -> None:
    """And it is again when the listener is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not prepare.free(port)
    assert prepare.free(port)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A sandbox, and no proxy in the environment."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return Layout("try", tmp_path, tmp_path)


def test_a_shell_gets_the_kubeconfig_and_kubectl(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH gets one folder, with kubectl alone, and only once."""
    values = prepare.environment_of(layout, PLAN)
    assert values == {"KUBECONFIG": f"{layout.state}/kubeconfig", "PATH": f"{layout.state}/bin:/usr/bin:/bin"}
    monkeypatch.setenv("PATH", values["PATH"])
    assert prepare.environment_of(layout, PLAN) == values


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_passed_by(layout: Layout, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No proxy can reach an address that only this machine has; what was exempt before still is."""
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert prepare.environment_of(layout, PLAN)["NO_PROXY"] == "10.213.0.2"
    monkeypatch.setenv("no_proxy", "localhost,.example")
    values = prepare.environment_of(layout, PLAN)
    assert values["NO_PROXY"] == values["no_proxy"] == "localhost,.example,10.213.0.2"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_plan_is_none(layout: Layout, text: str) -> None:
    """A plan that was cut off by a power cut is as good as none."""
    assert prepare.read_plan(layout) is None
    layout.plan.write_text(text)
    assert prepare.read_plan(layout) is None
