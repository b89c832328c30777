"""Finding what is ours in a cluster, whichever rights we have: by its labels, or where that is refused by its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CLAIM, CONFIG_MAP, DEPLOYMENT, SERVICE, SERVICE_ACCOUNT, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.plan.membership import is_other

if TYPE_CHECKING:
    from collections.abc import Collection

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Discovery
    from wtsctl.plan.membership import Home, Scope

_FORBIDDEN, _NOT_FOUND = 403, 404
# What every cluster serves and every catalog may have.
ALWAYS = (DEPLOYMENT, SERVICE, CONFIG_MAP, SERVICE_ACCOUNT, CLAIM)
# Who may not even list these has no rights here at all.
_NEEDED = (DEPLOYMENT, SERVICE)
# What wtsctl has ever rendered, so that objects of models that left the catalog are found too. Workloads first.
KINDS: tuple[tuple[str, str], ...] = (
    ("serving.kserve.io/v1beta1", "InferenceService"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("llamastack.io/v1alpha1", "LlamaStackDistribution"),
    ("batch/v1", "Job"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("keda.sh/v1alpha1", "TriggerAuthentication"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("policy/v1", "PodDisruptionBudget"),
    ("route.openshift.io/v1", "Route"),
    ("networking.k8s.io/v1", "Ingress"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
    ("monitoring.coreos.com/v1", "PrometheusRule"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Secret"),
    ("v1", "ResourceQuota"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
)
CLUSTER_KINDS: tuple[tuple[str, str], ...] = (
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
)

Named = tuple[str, str, str]
"""Kind, namespace (empty for what lies in none) and name of an object that the catalog names."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is ours.

    Attributes:
        objects: each with its kind, workloads first.
        unseen: the kinds, each with its namespace, that may not be listed and of which the catalog names nothing.
    """

    objects: tuple[tuple[Kind, Object], ...]
    unseen: tuple[tuple[str, str], ...]


def ours(
    client: Client,
    discovery: Discovery,
    namespaces: Iterable[str],
    labels: str,
    *,
    others: Collection[str] = (),
    named: Collection[Named] = (),
    further: Iterable[tuple[str, str]] = (),
    cluster: bool,
    home: Home | None = None,
    recorded: Scope | None = None,
) -> Found:
    """Every object with our labels, by one list for each kind and namespace.

    Args:
        client: the cluster.
        discovery: its kinds.
        namespaces: where to look.
        labels: the selector of everything that is ours.
        others: where to look too, as far as our rights go.
        named: what the catalog names; asked for one by one where its kind may not be listed.
        further: apiVersion and kind of what the catalog has beside what wtsctl renders.
        cluster: whether to look also for what lies in no namespace.
        home: of the catalog; what is that of another one of this name is left out. None: nothing is.
        recorded: what is recorded as the catalog's.

    Raises:
        ClusterError: the cluster cannot be spoken to, or workloads may not be listed.
    """
    required = dict.fromkeys(namespaces)
    kinds = list(dict.fromkeys((*ALWAYS, *_served(discovery, dict.fromkeys((*KINDS, *further))))))
    # Workloads before what they use, so that messages begin with them.
    kinds.sort(key=lambda kind: (kind.api_version == "v1", kind is not DEPLOYMENT))
    places = [
        (kind, namespace) for kind in kinds if kind.namespaced for namespace in dict.fromkeys((*required, *others))
    ]
    if cluster:
        places += [(kind, "") for kind in _served(discovery, CLUSTER_KINDS)]
        places += [(kind, "") for kind in kinds if not kind.namespaced]

    def listed(place: tuple[Kind, str]) -> list[Object] | None:
        kind, namespace = place
        try:
            return objects.list_all(client, kind, namespace, labels=labels)[0]
        except ApiRefused as error:
            if error.status == _NOT_FOUND:
                return []
            if error.status == _FORBIDDEN and not (kind in _NEEDED and namespace in required):
                return None
            raise

    found: list[tuple[Kind, Object]] = []
    unseen: list[tuple[str, str]] = []
    for (kind, namespace), items in zip(places, each(listed, places), strict=True):
        if items is not None:
            found += [(kind, item) for item in items]
            continue
        names = [name for of, within, name in named if (of, within) == (kind.kind, namespace)]
        if not names:
            unseen.append((kind.kind, namespace))
        found += [(kind, item) for name in names for item in _got(client, kind, namespace, name, labels)]
    if home is not None:
        found = [one for one in found if not is_other(one[1], home, recorded)]
    return Found(tuple(found), tuple(unseen))


def _served(discovery: Discovery, kinds: Iterable[tuple[str, str]]) -> list[Kind]:
    return [discovery.kind(*one) for one in kinds if discovery.serves(*one)]


def _got(client: Client, kind: Kind, namespace: str, name: str, labels: str) -> list[Object]:
    try:
        item = objects.get(client, kind, namespace, name)
    except ApiRefused as error:
        if error.status in {_FORBIDDEN, _NOT_FOUND}:
            return []
        raise
    return [item] if objects.carries(item, labels) else []
