"""The table of programs, and the module they are compiled from."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from wtsctl.sandbox import programs
from wtsctl.sandbox.programs import GO_MINIMUM, GROUPS, MODULE, RUNC, STATIC, Group, Program, content_key

if TYPE_CHECKING:
    from pathlib import Path


def test_versions_are_those_of_go_mod() -> None:
    """There is one place to raise a version: go.mod."""
    text = (MODULE / "go.mod").read_text()
    for name, version in programs.versions().items():
        assert re.fullmatch(r"v\d+\.\d+\.\d+", version), name
        assert f" {version}" in text


def test_a_module_that_is_not_required_has_no_version() -> None:
    """A typo in the table of versions is an error, not an empty string."""
    with pytest.raises(LookupError, match=r"k8s\.io/kubernete "):
        programs.version("k8s.io/kubernete")


def test_every_tool_of_the_module_is_compiled_once() -> None:
    """go.mod's list of tools, which `go mod tidy` keeps complete, and the table name the same packages."""
    tools = re.search(r"^tool \((.*?)^\)", (MODULE / "go.mod").read_text(), re.MULTILINE | re.DOTALL)
    assert tools is not None
    own = {"./coredns", "./pause"}
    packages = [program.package for group in GROUPS for program in group.programs]
    assert sorted(packages) == sorted([*tools[1].split(), *own])


def test_the_go_line_is_what_the_toolchain_is_checked_for() -> None:
    """The minimum that an error names is the one that go.mod asks for."""
    line = re.search(r"^go (\d+)\.(\d+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert line is not None
    assert (int(line[1]), int(line[2])) == GO_MINIMUM


def test_staging_modules_are_of_the_same_release() -> None:
    """k8s.io/kubernetes v1.X.Y was made with k8s.io/api v0.X.Y and so on; another mix is nobody's release."""
    release = programs.version("k8s.io/kubernetes").removeprefix("v1.")
    replaced = re.findall(r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE)
    assert len(replaced) > 25
    for module, target, version in replaced:
        assert (target, version) == (module, f"v0.{release}")


def test_sums_are_there_for_what_is_required() -> None:
    """Everything that is downloaded is checked against go.sum."""
    sums = (MODULE / "go.sum").read_text()
    for module in ("k8s.io/kubernetes", "github.com/containerd/containerd/v2", "github.com/opencontainers/runc"):
        assert re.search(rf"^{module} {programs.version(module)} h1:", sums, re.MULTILINE), module


@pytest.mark.parametrize(
    ("package", "name"),
    [("go.etcd.io/etcd/server/v3", "server"), ("k8s.io/kubernetes/cmd/kubelet", "kubelet"), ("./pause", "pause")],
)
def test_the_file_that_go_writes_is_known(package: str, name: str) -> None:
    """`go build` names a program after its package, without a version at its end."""
    assert Program("any", package).built_as == name


def test_the_api_server_is_told_its_version() -> None:
    """Without these linker variables it calls itself v0.0.0, and clients complain."""
    release = programs.version("k8s.io/kubernetes")
    link = next(flag for flag in STATIC.flags if flag.startswith("-ldflags="))
    assert f"-X k8s.io/component-base/version.gitVersion={release}" in link
    assert "-X k8s.io/component-base/version.gitMajor=1" in link


def test_runc_has_seccomp_and_is_the_only_c() -> None:
    """Without the tag every pod fails; and only a node needs a C compiler."""
    assert "seccomp" in RUNC.tags
    assert [group.cgo for group in GROUPS if group is not RUNC] == [False]
    assert all(program.node for program in RUNC.programs)


def test_the_key_follows_sources_and_flags(tmp_path: Path) -> None:
    """A changed go.sum, source or flag gives another folder in the cache; the same give the same."""
    module = tmp_path / "module"
    shutil.copytree(MODULE, module)
    before = content_key(STATIC, module)
    assert before == content_key(STATIC, module)
    assert content_key(Group("static", STATIC.programs, tags=("other",)), module) != before
    sums = module / "go.sum"
    sums.write_text(sums.read_text().replace("h1:", "h1:x", 1))
    after_sum = content_key(STATIC, module)
    assert after_sum != before
    (module / "pause" / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert content_key(STATIC, module) not in {before, after_sum}


def test_the_key_is_that_of_the_installed_module() -> None:
    """The key covers the module's own programs too, which go.sum knows nothing of."""
    assert STATIC.key == content_key(STATIC, MODULE)
    assert STATIC.key != RUNC.key
    assert (MODULE / "coredns" / "main.go").is_file()
