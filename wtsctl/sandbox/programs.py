"""Which programs the sandbox runs, and how each is compiled from the Go module in `module/`."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).parent / "module"
GO_MINIMUM = (1, 26)
"""The `go` line of the module."""

# No paths of this machine in the programs, and no debug information: the compiler need not make what the
# linker would drop again (a fifth of the disk that a build takes).
_FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")


@dataclass(frozen=True, slots=True)
class Program:
    """One program.

    Attributes:
        name: its file name in the cache.
        package: the import path of its main package.
        node: whether it is needed only where pods run.
    """

    name: str
    package: str
    node: bool = False

    @property
    def built_as(self) -> str:
        """The file name that `go build` gives it: the last part of the package that is no version."""
        parts = [part for part in self.package.split("/") if not re.fullmatch(r"v\d+", part)]
        return parts[-1]


@dataclass(frozen=True, slots=True)
class Group:
    """Programs that one `go build` makes, with the same flags.

    Attributes:
        name: the first part of their folder's name in the cache.
        programs: what it makes.
        variables: `importpath.name=value`, set by the linker: versions.
        tags: build tags.
        cgo: whether a C compiler is needed.
    """

    name: str
    programs: tuple[Program, ...]
    variables: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cgo: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """The arguments of `go build` that decide what comes out."""
        link = " ".join(("-s -w", *(f"-X {variable}" for variable in self.variables)))
        return (*_FLAGS, f"-tags={','.join(self.tags)}", f"-ldflags={link}")

    @property
    def key(self) -> str:
        """The content key of what it makes."""
        return content_key(self, MODULE)


def content_key(group: Group, module: Path) -> str:
    """A key that the same sources and flags on the same architecture give again, and no others.

    The Go release is not part of it. What is compiled is pinned by go.sum, and an upgrade of Go must not cost its
    user ten minutes; the stamp says which Go it was.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in module.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(module)}\0{len(content)}\0".encode() + content)
    digest.update(json.dumps([group.flags, group.cgo, platform.machine()]).encode())
    return digest.hexdigest()[:12]


def version(module: str) -> str:
    """The version of a module that go.mod pins: `v1.36.3`."""
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise LookupError(f"{module} is not in {MODULE / 'go.mod'}")
    return match[1]


def versions() -> dict[str, str]:
    """What the sandbox is made of, by the names that people know."""
    return {
        name: version(module)
        for name, module in (
            ("kubernetes", "k8s.io/kubernetes"),
            ("etcd", "go.etcd.io/etcd/server/v3"),
            ("containerd", _CONTAINERD),
            ("runc", "github.com/opencontainers/runc"),
            ("cni-plugins", _CNI),
            ("coredns", "github.com/coredns/coredns"),
        )
    }


_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"


def _kubernetes_variables() -> tuple[str, ...]:
    # Without these the API server calls itself v0.0.0, and clients complain.
    release = version("k8s.io/kubernetes")
    major, minor = release.removeprefix("v").split(".")[:2]
    values = {"gitVersion": release, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"{package}.{name}={value}" for package in packages for name, value in values.items())


def _kubernetes(name: str, *, node: bool = False) -> Program:
    return Program(name, f"k8s.io/kubernetes/cmd/{name}", node)


def _node(package: str) -> Program:
    return Program(package.rpartition("/")[2], package, node=True)


STATIC = Group(
    "static",
    (
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl"),
        _kubernetes("kubelet", node=True),
        _kubernetes("kube-proxy", node=True),
        _node(f"{_CONTAINERD}/cmd/containerd"),
        _node(f"{_CONTAINERD}/cmd/containerd-shim-runc-v2"),
        _node(f"{_CONTAINERD}/cmd/ctr"),
        _node(f"{_CNI}/plugins/ipam/host-local"),
        _node(f"{_CNI}/plugins/main/loopback"),
        _node(f"{_CNI}/plugins/main/ptp"),
        _node(f"{_CNI}/plugins/meta/portmap"),
        _node("./coredns"),
        _node("./pause"),
    ),
    variables=(
        *_kubernetes_variables(),
        f"{_CONTAINERD}/version.Version={version(_CONTAINERD)}",
        f"{_CNI}/pkg/utils/buildversion.BuildVersion={version(_CNI)}",
    ),
)

# Without seccomp every pod fails: "config provided but seccomp not supported". It is the only program that
# needs C; netgo and osusergo keep what it shares with the others from being compiled a second time.
RUNC = Group("runc", (_node("github.com/opencontainers/runc"),), tags=("seccomp", "netgo", "osusergo"), cgo=True)

GROUPS = (STATIC, RUNC)
