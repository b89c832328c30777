"""Whether something adds nodes to the cluster for pods that no node takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CONFIG_MAP, Discovery
from wtsctl.cluster.faults import ApiRefused
from wtsctl.errors import ClusterError
from wtsctl.health.scheduling import Autoscaler

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client

_NOT_FOUND = 404
# Where cluster-autoscaler writes its status: by default, and on OpenShift.
# https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md, "How can I monitor Cluster Autoscaler"
_STATUS = "cluster-autoscaler-status"
_NAMESPACES = ("kube-system", "openshift-machine-api")


def autoscaler(client: Client) -> Autoscaler:
    """Look for Karpenter's kinds and for cluster-autoscaler's status; unknown where we may not see the latter."""
    try:
        served = Discovery(client)
        if any(served.serves(f"karpenter.sh/{version}", "NodePool") for version in ("v1", "v1beta1")):
            return Autoscaler.THERE
        answers = [_has_status(client, namespace) for namespace in _NAMESPACES]
    except ClusterError:
        return Autoscaler.UNKNOWN
    if True in answers:
        return Autoscaler.THERE
    return Autoscaler.UNKNOWN if None in answers else Autoscaler.NONE


def _has_status(client: Client, namespace: str) -> bool | None:
    """Whether the ConfigMap is there; None where that may not be seen."""
    try:
        objects.get(client, CONFIG_MAP, namespace, _STATUS)
    except ApiRefused as error:
        return False if error.status == _NOT_FOUND else None
    return True
