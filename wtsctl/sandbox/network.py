"""The link between this machine and a sandbox's network namespace: a veth pair with a /30 of its own."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Inside the namespace only, so they may be in use outside; apart from each other and from the pools below.
PODS = IPv4Network("10.244.0.0/24")
SERVICES = IPv4Network("10.96.0.0/16")

# Private, never link-local: the API server refuses a link-local address as its endpoint. The first pool that
# is free wins; that a VPN takes one of them is common.
_POOLS = (IPv4Network("10.213.0.0/16"), IPv4Network("172.30.0.0/16"), IPv4Network("192.168.213.0/24"))
_LINK = 30
# A route as wide as a quarter of the address space is a default route in other words, and overlaps everything.
_DEFAULT = 2
# An abstract socket: known in this network namespace alone, as its routes are, and gone with who holds it.
_CHOOSING = "\0wtsctl-sandbox-network"
_CHOOSING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Link:
    """The veth pair.

    Attributes:
        name: the interface on this machine.
        subnet: its /30.
    """

    name: str
    subnet: IPv4Network

    @property
    def outside(self) -> str:
        """This machine's address on it."""
        return str(self.subnet[1])

    @property
    def inside(self) -> str:
        """The sandbox's address on it: the node's, and the API server's."""
        return str(self.subnet[2])


def choose(taken: Iterable[IPv4Network], preferred: IPv4Network | None = None) -> IPv4Network:
    """A /30 that overlaps nothing this machine has a route to.

    Args:
        taken: the destinations of its routes.
        preferred: what the sandbox had before; kept while it is free, so that kubeconfigs stay valid.

    Raises:
        SandboxError: everything private is routed somewhere.
    """
    used = [network for network in taken if network.prefixlen > _DEFAULT]
    for pool in (preferred, *_POOLS):
        if pool is not None and (free := _free(pool, used)) is not None:
            return free
    raise SandboxError(
        "no private subnet is free for the sandbox: this machine has routes to all of " + ", ".join(map(str, _POOLS)),
        hint="remove a route (`ip route`), or run the control plane alone with --no-node",
    )


@contextmanager
def choosing(timeout: float = _CHOOSING_SECONDS) -> Iterator[None]:
    """Be the only one on this machine who chooses a subnet, until it is connected and so can be seen as taken.

    Raises:
        SandboxError: somebody else does not end choosing.
    """
    end = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        while True:
            try:
                held.bind(_CHOOSING)
            except OSError as error:
                if time.monotonic() > end:
                    raise SandboxError(
                        f"another sandbox has been starting for {timeout:g} s, and only one can choose its network",
                        hint="wait until it is up, or see which process holds the socket: `ss -xlp | grep wtsctl`",
                    ) from error
                time.sleep(0.05)
            else:
                break
        yield


def _free(pool: IPv4Network, used: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first /30 of a pool that overlaps none of `used`."""
    at, size = int(pool.network_address), 1 << (32 - _LINK)
    for network in sorted(used):
        # Sorted by their first address: one that lies wholly behind `at` leaves it free, one before it is no matter.
        if int(network.network_address) < at + size and int(network.broadcast_address) >= at:
            at = (int(network.broadcast_address) // size + 1) * size
    return IPv4Network((at, _LINK)) if at + size - 1 <= int(pool.broadcast_address) else None


def routes(text: str) -> tuple[IPv4Network, ...]:
    """The IPv4 destinations in the output of `ip -json route show table all`."""
    found = []
    for route in json.loads(text or "[]"):
        destination = "0.0.0.0/0" if route.get("dst") == "default" else route.get("dst", "")
        try:
            found.append(IPv4Network(destination, strict=False))
        except ipaddress.AddressValueError:
            continue
    return tuple(found)


def taken() -> tuple[IPv4Network, ...]:
    """The IPv4 destinations that this machine has routes to, its own addresses among them."""
    return routes(_ip("-json", "-4", "route", "show", "table", "all"))


def connect(link: Link, pid: int) -> None:
    """Make the pair, one end here and one, called eth0, in the network namespace of `pid`.

    The pair is gone when either end or the namespace is.
    """
    disconnect(link.name)
    _ip("link", "add", link.name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    try:
        _ip("link", "set", link.name, "addrgenmode", "none", "up")
        _ip("address", "add", f"{link.outside}/{_LINK}", "dev", link.name)
    except SandboxError:
        disconnect(link.name)
        raise


def disconnect(name: str) -> None:
    """Remove the pair if it is there."""
    try:
        _ip("link", "delete", name)
    except SandboxError:
        # Not there, or the kernel took it meanwhile with the namespace of its other end.
        if exists(name):
            raise


def exists(name: str) -> bool:
    """Whether this machine has an interface of that name."""
    links: list[dict[str, Any]] = json.loads(_ip("-json", "link", "show") or "[]")
    return any(link.get("ifname") == name for link in links)


def commands(link: Link) -> list[list[str]]:
    """What sets the network up inside the namespace."""
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "link", "set", "eth0", "addrgenmode", "none", "up"],
        ["ip", "address", "add", f"{link.inside}/{_LINK}", "dev", "eth0"],
        # What the node itself sends to a Service needs a route before kube-proxy can redirect it, and the
        # node's address as its source. There is no default route: nothing leaves this machine.
        ["ip", "route", "add", str(SERVICES), "dev", "eth0", "src", link.inside],
    ]


def _ip(*arguments: str) -> str:
    try:
        answer = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SandboxError("the command `ip` is not installed", hint="apt install iproute2") from error
    if answer.returncode != 0:
        raise SandboxError(f"`ip {' '.join(arguments)}` failed: {answer.stderr.strip()}")
    return answer.stdout
