"""What is known of kinds without a cluster, compared with what a real API server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import Discovery
from wtsctl.render import kinds
from wtsctl.render.plural import plural

if TYPE_CHECKING:
    from tests.cluster.conftest import Forwarder, MakeCatalog
    from tests.sandboxes import Cluster

pytestmark = pytest.mark.cluster


def served(client: Client) -> dict[tuple[str, str], bool]:
    """Whether objects lie in namespaces, for each kind that the API server serves."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found: dict[tuple[str, str], bool] = {}
    for root in ("/api", "/apis"):
        document: Any = client.request("GET", root, accept=accept, where=root)
        for group in document["items"]:
            name = group["metadata"].get("name", "")
            for version in group["versions"]:
                api_version = f"{name}/{version['version']}" if name else version["version"]
                for resource in version["resources"]:
                    if kind := (resource.get("responseKind") or {}).get("kind"):
                        found[api_version, kind] = resource["scope"] == "Namespaced"
    return found


def test_scopes_are_those_of_the_api_server(client: Client) -> None:
    """Every kind of Kubernetes' own that is served is known as having namespaces, or as having none, rightly."""
    own = {key: namespaced for key, namespaced in served(client).items() if kinds.built_in(key[0])}
    assert len(own) > 40
    wrong = {key for key, namespaced in own.items() if kinds.cluster_scoped(*key) is namespaced}
    assert wrong == set()


def test_plurals_are_those_of_the_api_server(every_kind: Cluster) -> None:
    """Every kind that is served, each custom resource of the tests among them, has the plural that we make of it."""
    client = Client(connect(every_kind.kubeconfig))
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found: set[tuple[str, str]] = set()
    for root in ("/api", "/apis"):
        document: Any = client.request("GET", root, accept=accept, where=root)
        versions = [version for group in document["items"] for version in group["versions"]]
        found |= {
            (resource["responseKind"]["kind"], resource["resource"])
            for version in versions
            for resource in version["resources"]
            if resource.get("responseKind", {}).get("kind")
        }
    assert {"HTTPRoute", "Endpoints", "NetworkPolicy", "LlamaStackDistribution"} <= {kind for kind, _ in found}
    assert {(kind, name) for kind, name in found if plural(kind) != name} == set()


def test_what_is_everywhere_is_served(client: Client) -> None:
    """The API server serves every API version that counts as served by every cluster; Discovery says the same."""
    versions = {api_version for api_version, _ in served(client)}
    assert {"v1", "apps/v1", "policy/v1", "autoscaling/v2"} <= kinds._EVERYWHERE <= versions
    discovery = Discovery(client)
    assert discovery.serves("policy/v1", "PodDisruptionBudget")
    assert not discovery.serves("policy/v1", "PodMonitor")
    assert not discovery.serves("example.invalid/v1", "Nothing")


def test_deploy_asks_for_the_kinds_once(catalog: MakeCatalog, forwarder: Forwarder) -> None:
    """What is `auto` and the apply go by the same two requests; a kind that is not served is not applied."""
    done = catalog("only", kubeconfig=forwarder.kubeconfig).json("deploy", "--no-wait")
    assert done.code == 0, done.stderr
    assert [path for path in forwarder.asked if path.rstrip("/") in {"/api", "/apis"}] == ["/apis", "/api"]
    assert not [name for name in done.outcomes if "PodMonitor" in name]
    assert [name for name in done.outcomes if "Deployment" in name]
