"""The account for CI, used for real: it can do what its level says, and each of its rights is one that wtsctl uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster.recording import Recording, Right, recording
from wtsctl.cluster import objects
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, Kind
from wtsctl.cluster.faults import ApiRefused

if TYPE_CHECKING:
    from tests.cluster.conftest import MakeCatalog
    from tests.command import Wtsctl
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster

ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
PRIORITY = Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False)
ACCOUNT = "wtsctl-ci"
MODEL = {
    "runtime": "vllm",
    "model": "a/b",
    "smoke": "[{name: hello, prompt: Say hello., assert: [{icontains: hello}]}]",
}


def around(level: str, space: str) -> str:
    """Everything that can stand around the models of a catalog on a plain cluster."""
    return f"""
secrets:
  huggingface: {{name: token, key: HF_TOKEN, fromFile: token}}
platform:
  podSecurity: restricted
  networkPolicy: {{mode: on, apiServer: []}}
  monitoring: {{monitors: off, rules: off}}
  quota: {{mode: on}}
  priorityClass: {{name: {space}, value: 1000}}
  access: {{mode: on, level: {level}, namespace: {space}-ci}}
"""


@dataclass
class Ci:
    """A catalog that an administrator has deployed, and the account that it makes.

    Attributes:
        admin: the command with all rights.
        kubeconfig: of the account, by way of `recording`.
        recording: what the account asked for.
    """

    admin: Wtsctl
    kubeconfig: Path
    recording: Recording

    def __call__(self, wtsctl: Wtsctl) -> Wtsctl:
        """The same catalog with the account's rights."""
        return type(wtsctl)(wtsctl.catalog, self.kubeconfig)


@pytest.fixture
def make(control_plane: Path, catalog: MakeCatalog, client: Client, space: str, tmp_path: Path) -> Iterator[Any]:
    """Deploys a catalog of two models with an account of the given level."""
    (tmp_path / "token").write_text("not-a-real-token\n")
    with recording(connect(control_plane)) as record:

        def deployed(level: str) -> Ci:
            admin = catalog("first", "second", more=around(level, space), **MODEL)
            done = admin.json("deploy")
            assert done.code == 0, done.stderr
            path = f"/api/v1/namespaces/{space}-ci/serviceaccounts/{ACCOUNT}/token"
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            token = client.exchange("POST", path, body=body)[1]["status"]["token"]
            document = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "ci",
                "clusters": [{"name": "ci", "cluster": {"server": record.url}}],
                "users": [{"name": "ci", "user": {"token": token}}],
                "contexts": [{"name": "ci", "context": {"cluster": "ci", "user": "ci"}}],
            }
            (tmp_path / "ci.kubeconfig").write_text(yaml.safe_dump(document))
            return Ci(admin, tmp_path / "ci.kubeconfig", record)

        yield deployed
    for kind, name in ((CLUSTER_ROLE, f"{space}-{ACCOUNT}"), (PRIORITY, space), (NAMESPACE, f"{space}-ci")):
        with contextlib.suppress(ApiRefused):
            objects.delete(client, kind, "", name)


def granted(client: Client, space: str) -> set[Right]:
    """Every verb on every resource that the account's roles give it."""
    found: set[Right] = set()
    roles = [one for within in (space, f"{space}-ci") for one in objects.list_all(client, ROLE, within)[0]]
    whole = objects.list_all(client, CLUSTER_ROLE)[0]
    roles += [role for role in whole if role["metadata"]["name"] == f"{space}-{ACCOUNT}"]
    for role in roles:
        namespace = role["metadata"].get("namespace", "")
        for rule in role["rules"]:
            found |= {
                Right(verb, group, resource, namespace)
                for verb in rule["verbs"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
            }
    return found


def allowed(ci: Ci, method: str, path: str) -> bool:
    """Whether the account may send a request, whatever else the API server says to it."""
    from wtsctl.cluster.client import Client

    body: dict[str, Any] | None = {} if method == "POST" else None
    try:
        Client(connect(ci.kubeconfig), sleep=lambda _: None).exchange(method, path, body=body)
    except ApiRefused as error:
        return error.status != 403
    except Exception as error:  # noqa: BLE001 - a proxied Service without pods answers in words of its own
        return "403" not in str(error)
    return True


def parts(space: str, *, asks: bool) -> dict[Right, tuple[str, str]]:
    """What is only asked where pods run: each right with a request that needs it."""
    core = f"/api/v1/namespaces/{space}"
    chat = ("POST", f"{core}/services/first:8000/proxy/v1/chat/completions")
    return {
        **({Right("create", "", "services/proxy", space): chat} if asks else {}),
        Right("list", "", "events", space): ("GET", f"{core}/events"),
        Right("get", "", "pods/log", space): ("GET", f"{core}/pods/none/log"),
        Right("get", "", "services/proxy", space): ("GET", f"{core}/services/first:8000/proxy/v1/models"),
    }


def test_deploy_level(make: Any, client: Client, space: str, catalog: MakeCatalog) -> None:
    """CI deploys, changes, asks, deletes; every right is used, and what it must not touch stays as it is."""
    ci: Ci = make("deploy")
    mine = ci(ci.admin)
    again = mine.json("deploy")
    assert again.code == 0, again.stderr
    assert set(again.outcomes.values()) == {"unchanged"}
    third = catalog("first", "third", more=around("deploy", space), **MODEL)
    changed = ci(third).json("deploy", "--prune")
    assert changed.code == 0, changed.stderr
    assert changed.outcomes[f"{space}/Deployment/third"] == "created"
    assert changed.outcomes[f"{space}/Deployment/second"] == "pruned"
    assert changed.data["plan"]["left"] == []
    back = mine.json("rollback")
    assert back.code == 0, back.stderr
    assert mine("status").code == 0
    asked = mine.json("smoke-test", "first")
    assert asked.code != 4
    assert "forbidden" not in (asked.stdout + asked.stderr).lower()
    assert ci(third)("delete", "third", "--yes").code == 0
    gone = mine.json("delete", "--yes")
    assert gone.code == 0, gone.stderr
    kept = {identity for identity, outcome in gone.outcomes.items() if outcome == "kept"}
    own = {f"{within}/{kind}/{ACCOUNT}" for kind in ("Role", "RoleBinding") for within in (space, f"{space}-ci")}
    own |= {f"{space}-ci/ServiceAccount/{ACCOUNT}", f"ClusterRole/{space}-{ACCOUNT}", f"Namespace/{space}-ci"}
    assert {*own, f"Namespace/{space}", f"PriorityClass/{space}"} <= kept
    for kind in (DEPLOYMENT, SECRET, CONFIG_MAP):
        left = [item["metadata"]["name"] for item in objects.list_all(client, kind, space)[0]]
        assert left in ([], ["kube-root-ca.crt"]), kind.kind
    # Made anew by CI itself, in the namespace and with the rights that stayed.
    anew = mine.json("deploy")
    assert anew.code == 0, anew.stderr
    extra = parts(space, asks=True)
    # Only asked for where its list does not show that the account is as it should be.
    own_account = f"/api/v1/namespaces/{space}-ci/serviceaccounts/{ACCOUNT}"
    extra[Right("get", "", "serviceaccounts", f"{space}-ci")] = ("GET", own_account)
    # Only where another one is at work, and where a deploy writes for seconds.
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases/wtsctl-{space}"
    extra[Right("get", "coordination.k8s.io", "leases", space)] = ("GET", lease)
    extra[Right("patch", "coordination.k8s.io", "leases", space)] = ("PATCH", lease)
    assert all(allowed(ci, *request) for request in extra.values())
    unused = granted(client, space) - ci.recording.used - extra.keys()
    assert unused == set()
    # It gives itself no more: what is outside of its namespaces is not its to change, nor another namespace its own.
    other = around("deploy", space).replace("value: 1000", "value: 2000")
    more = catalog("first", more=other, runtime="vllm", namespace=f"{space}-more", model="a/b")
    refused = ci(more).json("deploy")
    assert refused.code == 4
    assert refused.envelope["data"] is None
    assert f'in the namespace "{space}-more"' in refused.errors[0]["message"]
    # The administrator takes the rest.
    assert ci.admin("delete", "--yes").code == 0
    for kind, name in ((CLUSTER_ROLE, f"{space}-{ACCOUNT}"), (PRIORITY, space), (NAMESPACE, f"{space}-ci")):
        with pytest.raises(ApiRefused, match="not found"):
            objects.get(client, kind, "", name)


@pytest.mark.parametrize("level", ["status", "smoke-test"])
def test_levels_that_only_look(make: Any, client: Client, space: str, level: str) -> None:
    """CI sees how models are, asks them where its level says so, and changes nothing."""
    ci: Ci = make(level)
    mine = ci(ci.admin)
    assert mine("status").code == 0
    before = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in deployments(client, space)}
    assert mine("deploy").code == 4
    assert mine("delete", "--yes").code == 4
    after = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in deployments(client, space)}
    assert before == after
    asking = parts(space, asks=True)[Right("create", "", "services/proxy", space)]
    assert allowed(ci, *asking) is (level == "smoke-test")
    # A Service that is not a model's is out of reach.
    assert not allowed(ci, "GET", f"/api/v1/namespaces/{space}/services/first:9000/proxy/")
    extra = parts(space, asks=level == "smoke-test")
    assert all(allowed(ci, *request) for request in extra.values())
    unused = granted(client, space) - ci.recording.used - extra.keys()
    assert unused == set()
    verbs = {one.verb for one in granted(client, space) if one.resource != "services/proxy"}
    assert verbs <= {"get", "list"}


def deployments(client: Client, space: str) -> list[dict[str, Any]]:
    """All Deployments of the test."""
    return objects.list_all(client, DEPLOYMENT, space)[0]
