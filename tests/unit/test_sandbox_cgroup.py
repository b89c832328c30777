"""The pods' cgroup, on trees laid out as the kernel lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox import cgroup

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Version 1: a tree for each controller, cpu and cpuacct in one with links to it."""
    for name in ("cpu,cpuacct", "cpuset", "memory", "systemd"):
        (tmp_path / name).mkdir()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    ours = tmp_path / "cpuset" / "ours"
    ours.mkdir()
    # The kernel makes these with the folder.
    (ours / "cpuset.cpus").write_text("\n")
    (ours / "cpuset.mems").write_text("\n")
    return tmp_path


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Version 2: one tree, whose root hands down two of three controllers."""
    for path in (tmp_path, tmp_path / "ours"):
        path.mkdir(exist_ok=True)
        (path / "cgroup.controllers").write_text("cpu memory pids rdma\n")
        (path / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    return tmp_path


def test_version_1_has_a_folder_in_each_tree(first: Path) -> None:
    """One folder a controller, links counted once; processors and memory nodes are those of the parent."""
    assert not cgroup.unified(first)
    cgroup.create("ours", first)
    assert [path.name for path in cgroup.hierarchies(first)] == ["cpu,cpuacct", "cpuset", "memory", "systemd"]
    assert all((path / "ours").is_dir() for path in cgroup.hierarchies(first))
    assert (first / "cpuset" / "ours" / "cpuset.cpus").read_text() == "0-1\n"
    assert (first / "cpuset" / "ours" / "cpuset.mems").read_text() == "0\n"


def test_version_2_hands_down_what_the_kubelet_needs(second: Path) -> None:
    """Only what is missing is asked for, and only what is offered."""
    assert cgroup.unified(second)
    cgroup.create("ours", second)
    assert (second / "cgroup.subtree_control").read_text() == "+pids"
    assert (second / "ours" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_all_below_it_is_removed(tmp_path: Path) -> None:
    """Pods' cgroups are folders in it, several levels deep; the tree above stays."""
    (tmp_path / "memory" / "ours" / "kubepods" / "burstable" / "pod1").mkdir(parents=True)
    (tmp_path / "cpu" / "others").mkdir(parents=True)
    assert cgroup.exists("ours", tmp_path)
    cgroup.remove("ours", tmp_path)
    assert not cgroup.exists("ours", tmp_path)
    assert (tmp_path / "memory").is_dir()
    assert (tmp_path / "cpu" / "others").is_dir()
    cgroup.remove("ours", tmp_path)


def test_no_cgroups_at_all_is_one_clear_error(tmp_path: Path) -> None:
    """A machine without them cannot run pods, and is told what it can do."""
    with pytest.raises(SandboxError, match="no cgroups are mounted") as caught:
        cgroup.create("ours", tmp_path / "none")
    assert "--no-node" in str(caught.value)


def test_a_cgroup_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    """Where the tree cannot be changed, as in many containers, the error names the file."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "ours").write_text("in the way")
    with pytest.raises(SandboxError, match=r"cannot make the cgroup ours: .*memory/ours"):
        cgroup.create("ours", tmp_path)
