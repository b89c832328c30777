"""Which kinds the API server serves, and under which paths."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from wtsctl.cluster.faults import ApiRefused, no_such_kind

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client, Object

# Aggregated discovery answers everything in two requests (stable since Kubernetes 1.30, on by default since
# 1.27); older servers ignore the first two and answer with their plain lists.
_ACCEPT = (
    ",".join(
        f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
    )
    + ",application/json"
)


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """One kind as the API server serves it; `plural` is its name in paths."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Its API group; empty for the core's."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of the list, or with `name` of the object; without a namespace, of all namespaces."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        within = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{root}{within}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


# What every cluster serves, so that looking at workloads needs no discovery.
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE = Kind("v1", "Service", "services")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
JOB = Kind("batch/v1", "Job", "jobs")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
LEADER_WORKER_SET = Kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
LLAMA_STACK = Kind("llamastack.io/v1alpha1", "LlamaStackDistribution", "llamastackdistributions")
INFERENCE_SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices")


class Discovery:
    """The kinds of one API server, asked for when first needed; safe to use from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._deletable: dict[tuple[str, str], Kind] = {}
        self._asked: set[str] = set()
        self._aggregated = True
        self._lock = threading.Lock()

    def kind(self, api_version: str, kind: str, *, where: str = "") -> Kind:
        """The kind of an object.

        Raises:
            ApiRefused: the API server does not serve it; `reason` is `NoKind`.
        """
        if not self.serves(api_version, kind):
            raise no_such_kind(api_version, kind, where)
        return self._kinds[api_version, kind]

    def serves(self, api_version: str, kind: str) -> bool:
        """Whether the API server serves a kind.

        Raises:
            ClusterError: it did not say.
        """
        with self._lock:
            if (api_version, kind) not in self._kinds:
                self._ask(api_version)
            return (api_version, kind) in self._kinds

    def namespaced(self) -> list[Kind]:
        """Every kind whose objects lie in namespaces and can be listed and deleted, each in one version."""
        with self._lock:
            for root in ("v1", "apps/v1"):
                self._ask(root)
            if not self._aggregated:
                for group in self._client.request("GET", "/apis", where="/apis").get("groups", []):
                    self._ask(group["preferredVersion"]["groupVersion"])
            return sorted(self._deletable.values())

    def _ask(self, api_version: str) -> None:
        root = "/apis" if "/" in api_version else "/api"
        if self._aggregated and root not in self._asked:
            self._asked.add(root)
            document = self._client.request("GET", root, accept=_ACCEPT, where=root)
            self._aggregated = document.get("kind") == "APIGroupDiscoveryList"
            self._take_aggregated(document)
        if not self._aggregated and api_version not in self._asked:
            self._asked.add(api_version)
            try:
                document = self._client.request("GET", f"{root}/{api_version}", where=api_version)
            except ApiRefused as error:
                if error.status != 404:  # noqa: PLR2004
                    raise
                return
            self._take_plain(api_version, document)

    def _take_aggregated(self, document: Object) -> None:
        for group in document.get("items", []):
            name = group.get("metadata", {}).get("name", "")
            for version in group.get("versions", []):
                api_version = f"{name}/{version['version']}" if name else version["version"]
                for resource in version.get("resources", []):
                    # Resources that only have subresources carry no kind of their own.
                    kind = (resource.get("responseKind") or {}).get("kind")
                    if kind:
                        namespaced = resource.get("scope") == "Namespaced"
                        self._add(Kind(api_version, kind, resource["resource"], namespaced), resource["verbs"])

    def _take_plain(self, api_version: str, document: Object) -> None:
        for resource in document.get("resources", []):
            if "/" not in resource["name"]:
                kind = Kind(api_version, resource["kind"], resource["name"], bool(resource["namespaced"]))
                self._add(kind, resource["verbs"])

    def _add(self, kind: Kind, verbs: list[str]) -> None:
        self._kinds.setdefault((kind.api_version, kind.kind), kind)
        if kind.namespaced and {"list", "delete"} <= set(verbs):
            # The API server lists the version that it prefers first.
            group = kind.api_version.rpartition("/")[0]
            self._deletable.setdefault((group, kind.kind), kind)
