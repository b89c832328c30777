"""What NetworkPolicies let through, worked out as their specification says; no CNI of the sandbox enforces them.

Specification: https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """Where a connection comes from: a pod in a namespace, or an address outside of the pods' network."""

    namespace: str = ""
    pod: Labels = field(default_factory=dict)
    namespace_labels: Labels = field(default_factory=dict)
    address: str = ""


def admitted(policies: Sequence[Policy], namespace: str, pod: Labels, port: int, source: Source) -> bool:
    """Whether a TCP connection from `source` reaches `port` of a pod."""
    about = [
        one["spec"]
        for one in policies
        if one["metadata"]["namespace"] == namespace
        and "Ingress" in one["spec"].get("policyTypes", ["Ingress"])
        and selected(one["spec"]["podSelector"], pod)
    ]
    # A pod that no policy is about is open; of those that are about it, any may let a connection in.
    return not about or any(
        _rule(rule, namespace, port, source) for spec in about for rule in spec.get("ingress") or []
    )


def selected(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector of `matchLabels` alone selects; an empty one selects everything."""
    assert set(selector) <= {"matchLabels"}
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _rule(rule: Mapping[str, Any], namespace: str, port: int, source: Source) -> bool:
    ports, peers = rule.get("ports"), rule.get("from")
    # Without, or empty: every port, every source.
    if ports and not any(one["port"] == port and one["protocol"] == "TCP" for one in ports):
        return False
    return not peers or any(_peer(peer, namespace, source) for peer in peers)


def _peer(peer: Mapping[str, Any], namespace: str, source: Source) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return bool(source.address) and ip_address(source.address) in ip_network(block["cidr"])
    if source.address:
        return False
    if "namespaceSelector" in peer:
        named = {"kubernetes.io/metadata.name": source.namespace, **source.namespace_labels}
        within = selected(peer["namespaceSelector"], named)
    else:
        within = source.namespace == namespace
    return within and selected(peer.get("podSelector", {}), source.pod)
