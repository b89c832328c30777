"""Choosing a subnet that nothing on the machine uses."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtsctl.errors import SandboxError
from wtsctl.sandbox import network
from wtsctl.sandbox.network import PODS, SERVICES, Link

ROUTES = json.dumps(
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0"},
        {"type": "local", "dst": "192.0.2.2", "dev": "eth0", "table": "local"},
        {"type": "unreachable", "dst": "fd00::/8"},
        {"dev": "tun0"},
    ]
)


def test_routes_are_read_from_ip() -> None:
    """Networks, single addresses and the default route; IPv6 and what has no destination is left out."""
    assert network.routes(ROUTES) == (
        IPv4Network("0.0.0.0/0"),
        IPv4Network("192.0.2.0/24"),
        IPv4Network("192.0.2.2/32"),
    )
    assert network.routes("") == ()


def test_the_first_subnet_is_taken_where_nothing_is_in_the_way() -> None:
    """A default route overlaps everything, and is no reason."""
    assert network.choose([IPv4Network("0.0.0.0/0")]) == IPv4Network("10.213.0.0/30")


def test_halves_of_the_address_space_are_a_default_route() -> None:
    """OpenVPN replaces the default route with 0.0.0.0/1 and 128.0.0.0/1."""
    halves = [IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")]
    assert network.choose(halves) == IPv4Network("10.213.0.0/30")


def test_a_company_network_of_all_of_ten_moves_the_sandbox() -> None:
    """A VPN that routes 10.0.0.0/8 leaves 172.30.0.0/16."""
    assert network.choose([IPv4Network("10.0.0.0/8")]) == IPv4Network("172.30.0.0/30")


def test_a_second_sandbox_gets_the_next_subnet() -> None:
    """The first one's link is a route of the machine."""
    assert network.choose([IPv4Network("10.213.0.0/30")]) == IPv4Network("10.213.0.4/30")


def test_the_earlier_subnet_is_kept_while_it_is_free() -> None:
    """So that the address in a copied kubeconfig stays right."""
    before = IPv4Network("10.213.7.8/30")
    assert network.choose([], before) == before
    assert network.choose([IPv4Network("10.213.7.0/24")], before) == IPv4Network("10.213.0.0/30")


def test_no_free_subnet_is_an_error_that_says_what_to_do() -> None:
    """When all of the private pools are routed, the control plane alone still works."""
    everything = [IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")]
    with pytest.raises(SandboxError, match="no private subnet is free") as caught:
        network.choose(everything)
    assert "--no-node" in str(caught.value)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.integers(3, 32)).map(
            lambda pair: IPv4Network((pair[0] >> (32 - pair[1]) << (32 - pair[1]), pair[1]))
        ),
        max_size=20,
    )
)
def test_the_choice_never_overlaps_a_route(taken: list[IPv4Network]) -> None:
    """Whatever the machine routes, the link is private, not link-local, and apart from it and the pods."""
    try:
        chosen = network.choose(taken)
    except SandboxError:
        return
    assert chosen.is_private
    assert not chosen.is_link_local
    assert not any(chosen.overlaps(other) for other in (*taken, PODS, SERVICES))


def test_the_two_ends() -> None:
    """A /30 has two addresses: this machine's and the sandbox's."""
    link = Link("wts-00000000", IPv4Network("10.213.0.4/30"))
    assert (link.outside, link.inside) == ("10.213.0.5", "10.213.0.6")
    assert ["ip", "route", "add", str(SERVICES), "dev", "eth0", "src", "10.213.0.6"] in network.commands(link)
    assert not any("default" in command for command in network.commands(link)), "nothing leaves the machine"


def test_one_at_a_time_chooses() -> None:
    """Who chooses a subnet keeps others out until it is connected; the next then gets its turn."""
    with network.choosing(), pytest.raises(SandboxError, match="another sandbox"), network.choosing(timeout=0):
        pass
    with network.choosing(timeout=0):
        pass
