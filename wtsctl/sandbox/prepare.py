"""Writes what init and the components read: certificates, configuration files, the plan."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError
from wtsctl.sandbox import components, config, kubeconfig, launch, network, pki
from wtsctl.sandbox.components import Places, Ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.sandbox.layout import Layout

# What the sandbox sees its state folder and programs as: short, since the path of a Unix socket is bounded.
_ROOT = "/run/wtsctl/state"
_PROGRAMS = "/run/wtsctl/bin"
# The kubelet sets these for the whole machine unless they have these values; in the sandbox they seem to.
_TUNABLES = {
    "/proc/sys/vm/overcommit_memory": "1\n",
    "/proc/sys/vm/panic_on_oom": "0\n",
    "/proc/sys/kernel/panic": "10\n",
    "/proc/sys/kernel/panic_on_oops": "1\n",
    "/proc/sys/kernel/keys/root_maxkeys": "1000000\n",
    "/proc/sys/kernel/keys/root_maxbytes": "25000000\n",
}
# What a user's PATH gets: kubectl, and not the other programs beside it.
_SHELL = "bin"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The ports of a control plane that was just killed are freed a moment later.
_PORT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sandbox is asked to be; another one means that it has to be started again.

    Attributes:
        node: with a node, in namespaces of its own.
        api_port: the API server's port where the user asked for one; only without a node.
        programs: the programs' names and paths.
    """

    node: bool
    api_port: int | None
    programs: Mapping[str, Path]

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "node": self.node,
            "apiPort": self.api_port,
            "programs": {name: str(path) for name, path in self.programs.items()},
        }


def read_plan(layout: Layout) -> dict[str, Any] | None:
    """The plan that was written last; None when there is none, or it was cut off."""
    try:
        plan = json.loads(layout.plan.read_text())
    except (OSError, ValueError):
        return None
    return plan if isinstance(plan, dict) and "server" in plan else None


def cgroup(layout: Layout) -> str:
    """The name of the cgroup that the sandbox's pods live under."""
    return f"wtsctl-{layout.id}"


def link(layout: Layout, subnet: str) -> network.Link:
    """The sandbox's link to this machine."""
    return network.Link(f"wts-{layout.id}", IPv4Network(subnet))


def certificates_due(layout: Layout, plan: Mapping[str, Any]) -> bool:
    """Whether a certificate of a sandbox that has this plan is about to expire, or is missing."""
    wanted = pki.certificates(str(plan["address"]), str(network.SERVICES[1]), config.NODE)
    return bool(pki.due(layout.pki, wanted, now=time.time()))


def write(layout: Layout, wanted: Wanted) -> dict[str, Any]:
    """Make everything ready for a start, and return the plan.

    What an earlier plan chose, the subnet and the ports, stays while it is free.

    Raises:
        SandboxError: no subnet or port is free, or a certificate cannot be made.
    """
    for folder in (_SHELL, "config", "logs", "etcd", "var-lib/kubelet", "var-lib/cni", "var-log"):
        (layout.state / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    previous = read_plan(layout) or {}
    plan = _isolated(layout, wanted, previous.get("subnet")) if wanted.node else _alone(layout, wanted, previous)
    layout.plan.write_text(json.dumps(plan, indent=1))
    kubectl = layout.state / _SHELL / "kubectl"
    kubectl.unlink(missing_ok=True)
    kubectl.symlink_to(wanted.programs["kubectl"])
    kubeconfig.write(
        layout.kubeconfig, name=f"wtsctl-{layout.name}", server=plan["server"], pki=layout.pki, user="admin"
    )
    return plan


def _isolated(layout: Layout, wanted: Wanted, subnet: str | None) -> dict[str, Any]:
    chosen = network.choose(network.taken(), IPv4Network(subnet) if subnet else None)
    pair = link(layout, str(chosen))
    # Everything by short paths of its own, whatever /run, /var/lib and /var/log of this machine hold.
    folders = {path.parent for path in wanted.programs.values()}
    mounted = {folder: f"{_PROGRAMS}/{number}" for number, folder in enumerate(sorted(folders))}
    binds = [(str(layout.state), _ROOT)]
    binds += [(str(folder), target) for folder, target in mounted.items()]
    binds += [(str(layout.state / "var-lib"), "/var/lib"), (str(layout.state / "var-log"), "/var/log")]
    at = Places(
        root=_ROOT,
        programs={name: f"{mounted[path.parent]}/{path.name}" for name, path in wanted.programs.items()},
        name=layout.name,
        address=pair.inside,
        cgroup=f"/{cgroup(layout)}",
    )
    pki.ensure(layout.pki, pki.certificates(at.address, str(network.SERVICES[1]), config.NODE))
    _configure_node(layout, at)
    return {
        "wanted": wanted.as_dict(),
        "isolated": True,
        "subnet": str(chosen),
        "address": at.address,
        "server": at.server,
        "root": _ROOT,
        "binds": binds,
        "files": _TUNABLES,
        "commands": network.commands(pair),
        "environment": _environment(set(mounted.values())),
        "components": [asdict(item) for item in (*components.control_plane(at, alone=False), *components.node(at))],
    }


def _alone(layout: Layout, wanted: Wanted, previous: Mapping[str, Any]) -> dict[str, Any]:
    ports = _ports(wanted.api_port, previous.get("ports"))
    at = Places(
        root=str(layout.state),
        programs={name: str(path) for name, path in wanted.programs.items()},
        name=layout.name,
        address="127.0.0.1",
        ports=ports,
    )
    pki.ensure(layout.pki, pki.certificates(at.address, str(network.SERVICES[1]), config.NODE))
    _configure(layout, at)
    return {
        "wanted": wanted.as_dict(),
        "isolated": False,
        # A subnet from an earlier start with a node is kept for the next one.
        "subnet": previous.get("subnet"),
        "ports": asdict(ports),
        "address": at.address,
        "server": at.server,
        "root": at.root,
        "environment": _environment({str(path.parent) for path in wanted.programs.values()}),
        "components": [asdict(item) for item in components.control_plane(at, alone=True)],
    }


def _environment(folders: set[str]) -> dict[str, str]:
    """The components' variables: no proxy and no credentials of the user's reach them."""
    return {"PATH": ":".join((*sorted(folders), _SYSTEM_PATH)), "HOME": "/", "LC_ALL": "C.UTF-8"}


def _configure(layout: Layout, at: Places) -> None:
    """Write what the control plane reads."""
    folder = layout.state / "config"
    (folder / "authentication.json").write_text(config.authentication())
    for user in ("controller-manager", "scheduler"):
        kubeconfig.write(folder / f"{user}.kubeconfig", name=user, server=at.server, pki=layout.pki, user=user)


def _configure_node(layout: Layout, at: Places) -> None:
    """Write what the control plane and the node read."""
    _configure(layout, at)
    folder = layout.state / "config"
    for user in ("kubelet", "kube-proxy", "coredns"):
        kubeconfig.write(folder / f"{user}.kubeconfig", name=user, server=at.server, pki=layout.pki, user=user)
    plugins = str(Path(at.programs["ptp"]).parent)
    (folder / "cni").mkdir(exist_ok=True)
    texts = {
        "containerd.toml": config.containerd(
            programs=plugins,
            cni_folder=f"{at.root}/config/cni",
            snapshotter=snapshotter(layout.state, Path("/proc/self/mountinfo").read_text()),
            restrict_oom=not launch.may_raise_priority(),
        ),
        "cni/10-sandbox.conflist": config.cni(state="/var/lib/cni"),
        "kubelet.json": config.kubelet(root=at.root, address=at.address, cgroup=at.cgroup),
        "kube-proxy.json": config.kube_proxy(root=at.root),
        "Corefile": config.corefile(root=at.root, address=at.address),
        "resolv.conf": f"nameserver {at.address}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)


def snapshotter(state: Path, mountinfo: str) -> str:
    """How containerd stacks image layers in `state`: overlayfs, or native (copies) where the kernel refuses that.

    It refuses to stack an overlay on an overlay, which is what `state` lies on in most containers.

    Args:
        state: the sandbox's state folder, absolute.
        mountinfo: the text of /proc/self/mountinfo.
    """
    deepest, kind = "", ""
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        point = mount.split()[4].replace("\\040", " ")
        # Of two mounts on one point the later one is seen.
        if len(point) >= len(deepest) and state.is_relative_to(point):
            deepest, kind = point, rest.split()[0]
    return "native" if kind == "overlay" else "overlayfs"


def _ports(asked: int | None, previous: Mapping[str, int] | None) -> Ports:
    """Free ports on the loopback address; those of the last start where they are free."""
    before = dict(previous or {})
    deadline = time.monotonic() + (_PORT_SECONDS if before else 0.0)
    while before and not all(map(free, before.values())) and time.monotonic() < deadline:
        time.sleep(0.05)
    if asked is not None and not free(asked):
        raise SandboxError(
            f"port {asked} on 127.0.0.1 is in use",
            hint=f"see by what with `ss -ltnp sport = :{asked}`, or choose another --api-port",
        )
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    for name, usual in (*asdict(Ports()).items(),):
        candidates = [before.get(name), usual if name == "apiserver" else None]
        if name == "apiserver" and asked is not None:
            candidates = [asked]
        for candidate in candidates:
            if candidate is not None and candidate not in chosen.values() and free(candidate):
                chosen[name] = candidate
                break
        else:
            # Kept open until all are chosen, so that no port is given twice.
            probe = socket.socket()
            probe.bind(("127.0.0.1", 0))
            held.append(probe)
            chosen[name] = probe.getsockname()[1]
    for probe in held:
        probe.close()
    return Ports(**chosen)


def free(port: int) -> bool:
    """Whether nothing listens on the port on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def environment_of(layout: Layout, plan: Mapping[str, Any]) -> dict[str, str]:
    """What a shell needs to work with the sandbox: its kubeconfig, and kubectl in the right release."""
    folder, search = str(layout.state / _SHELL), os.environ.get("PATH", "").split(":")
    values = {
        "KUBECONFIG": str(layout.kubeconfig),
        "PATH": ":".join(search if folder in search else (folder, *search)),
    }
    # A proxy for the world outside cannot reach an address that only this machine has.
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        others = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        direct = ",".join(part for part in (others, str(plan["address"])) if part)
        values |= {"NO_PROXY": direct, "no_proxy": direct}
    return values
