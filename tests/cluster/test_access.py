"""Kubeconfigs and rights that do not do: one clear message, exit 4, and nothing half done without saying so."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster.conftest import namespace
from tests.command import environment

if TYPE_CHECKING:
    from tests.cluster.conftest import MakeCatalog
    from wtsctl.cluster.client import Client

pytestmark = pytest.mark.cluster


@pytest.fixture
def changed(control_plane: Path, tmp_path: Path) -> Any:
    """Makes kubeconfigs that differ from the good one in `cluster` and `user`; None takes a key away."""

    def make(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
        document = yaml.safe_load(control_plane.read_text())
        entry = document["clusters"][0]["cluster"]
        for key in ("certificate-authority", "client-certificate", "client-key"):
            # Relative paths would be those of the good file's folder.
            for part in (entry, document["users"][0]["user"]):
                if key in part:
                    part[key] = str((control_plane.parent / part[key]).resolve())
        entry |= cluster or {}
        document["clusters"][0]["cluster"] = {key: value for key, value in entry.items() if value is not None}
        if user is not None:
            document["users"][0]["user"] = user
        path = tmp_path / "changed.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    return make


def token_for(client: Client, space: str, rules: list[dict[str, Any]]) -> str:
    """A token of a new ServiceAccount that may do what `rules` say, in `space`."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "limited", "namespace": space}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "limited", "namespace": space},
        "rules": rules,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "limited", "namespace": space},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
        "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": space}],
    }
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space}"
    client.exchange("POST", f"/api/v1/namespaces/{space}/serviceaccounts", body=account)
    client.exchange("POST", f"{rbac}/roles", body=role)
    client.exchange("POST", f"{rbac}/rolebindings", body=binding)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    path = f"/api/v1/namespaces/{space}/serviceaccounts/limited/token"
    token: str = client.exchange("POST", path, body=request)[1]["status"]["token"]
    return token


READ = {"apiGroups": ["", "apps", "discovery.k8s.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}


def test_a_right_is_missing(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """What may not be applied is named with verb, resource, namespace and user; what was applied is said."""
    namespace(client, space)
    rules = [READ, {"apiGroups": [""], "resources": ["services"], "verbs": ["create", "patch"]}]
    limited = changed(user={"token": token_for(client, space, rules)})
    # As where the right is taken away between the checks and the apply.
    done = catalog("only", kubeconfig=limited).json("deploy", "--ignore-preflight-errors", "permissions")
    assert done.code == 4
    assert done.outcomes == {
        f"Namespace/{space}": "unchanged",
        f"{space}/Service/only": "created",
        f"{space}/Deployment/only": "failed",
    }
    said = done.errors[0]["message"]
    for part in ('cannot patch resource "deployments"', f'namespace "{space}"', f"serviceaccount:{space}:limited"):
        assert part in said


def test_a_right_to_look_is_missing(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """Who may apply and may not see ReplicaSets is told both: what was applied, and which right is missing."""
    namespace(client, space)
    look = READ | {"resources": ["services", "deployments", "pods", "endpointslices", "persistentvolumeclaims"]}
    write = {"apiGroups": ["", "apps"], "resources": ["services", "deployments"], "verbs": ["create", "patch"]}
    limited = changed(user={"token": token_for(client, space, [look, write])})
    before = catalog("only", kubeconfig=limited).json("deploy")
    assert before.code == 4
    assert 'may not list, watch replicasets.apps in the namespace "' in before.errors[0]["message"]
    assert before.data is None
    done = catalog("only", kubeconfig=limited).json("deploy", "--ignore-preflight-errors", "permissions")
    assert done.code == 4
    assert done.outcomes[f"{space}/Deployment/only"] == "created"
    assert 'cannot list resource "replicasets"' in done.errors[0]["message"]
    assert "all 3 objects were applied" in done.errors[1]["message"]


def test_without_lock_and_records(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """Who may neither write Leases nor ConfigMaps deploys all the same, and is told what that deploy lacks."""
    namespace(client, space)
    write = {"apiGroups": ["", "apps"], "resources": ["services", "deployments"], "verbs": ["create", "patch"]}
    limited = changed(user={"token": token_for(client, space, [READ, write])})
    done = catalog("only", kubeconfig=limited).json("deploy")
    assert done.code == 0, done.stderr
    assert "warning: without a lock" in done.stderr
    assert "warning: this deploy is not recorded" in done.stderr
    assert 'cannot create resource "configmaps"' in done.stderr


def test_rights_that_delete_lacks(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """Without rights on namespaces and pods: what may not be deleted or watched is told with what was deleted."""
    namespace(client, space)
    assert catalog("only")("deploy", "--no-wait").code == 0
    kinds = ["services", "configmaps", "serviceaccounts", "persistentvolumeclaims", "deployments"]
    read = {"apiGroups": ["", "apps"], "resources": kinds, "verbs": ["get", "list"]}
    write = {"apiGroups": [""], "resources": ["services"], "verbs": ["delete"]}
    rules = [read, write]
    limited = changed(user={"token": token_for(client, space, rules)})
    done = catalog("only", kubeconfig=limited).json("delete", "--yes")
    assert done.code == 4
    kept = [f"{space}/ConfigMap/wtsctl-{space}", f"{space}/ConfigMap/wtsctl-{space}.v1"]
    assert done.outcomes == {
        **dict.fromkeys([f"{space}/Deployment/only", *kept], "failed"),
        f"{space}/Service/only": "deleted",
    }
    said = [one["message"] for one in done.errors if one["where"] not in kept]
    assert 'cannot delete resource "deployments"' in said[0]
    assert 'cannot list resource "pods"' in said[1] or 'cannot watch resource "services"' in said[1]
    assert "what was asked to go still goes" in said[2]


def test_a_forbidden_namespace(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """Who has no rights in the namespace at all is told so by deploy and status, and nothing is applied."""
    namespace(client, space)
    limited = changed(user={"token": token_for(client, space, [])})
    wtsctl = catalog("only", kubeconfig=limited)
    refused = wtsctl.json("deploy")
    assert refused.code == 4
    assert {one["code"] for one in refused.errors} == {"preflight.permissions"}
    assert any("list" in one["message"] and "deployments" in one["message"] for one in refused.errors)
    for command in ("status", "delete"):
        done = wtsctl.json(command, *(["--yes"] if command == "delete" else []))
        assert done.code == 4, command
        assert done.errors[0]["code"] == "cluster.refused"
        assert "cannot list resource" in done.errors[0]["message"]
        assert done.data is None
    token = yaml.safe_load(limited.read_text())["users"][0]["user"]["token"]
    shown = wtsctl("deploy", "-v")
    assert token not in shown.stdout + shown.stderr


def test_just_enough_rights(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """Without any right on namespaces themselves, a deploy into one that is there works."""
    namespace(client, space)
    write = {"apiGroups": ["", "apps"], "resources": ["services", "deployments"], "verbs": ["create", "patch"]}
    limited = changed(user={"token": token_for(client, space, [READ, write])})
    done = catalog("only", kubeconfig=limited).json("deploy")
    assert done.code == 0, done.stderr
    assert done.data["models"][0]["verdict"] == "ready"


def test_a_token_that_has_expired(catalog: MakeCatalog, changed: Any) -> None:
    """A token that the API server does not take, and that says itself that it is over, is exit 4 with that reason."""
    header, payload = ({"alg": "RS256", "kid": "gone"}, {"exp": 1_600_000_000, "iss": "https://kubernetes.default.svc"})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload)]
    done = catalog(kubeconfig=changed(user={"token": ".".join([*parts, "c2lnbmF0dXJl"])})).json("status")
    assert done.code == 4
    assert done.errors[0]["code"] == "cluster.unauthorized"
    assert "its token has expired" in done.errors[0]["message"]
    assert "log in again" in done.errors[0]["hint"]


def test_no_credentials_of_this_cluster(catalog: MakeCatalog, changed: Any) -> None:
    """A token that is no JWT and nobody's is unauthorized, with no claim that it expired."""
    done = catalog(kubeconfig=changed(user={"token": "nobody"})).json("deploy")
    assert (done.code, done.errors[0]["code"]) == (4, "cluster.unauthorized")
    assert "expired" not in done.errors[0]["message"]


def test_nobody_listens(catalog: MakeCatalog, changed: Any) -> None:
    """A port where nothing listens is unreachable, with the address, and at once."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for command in ("deploy", "status"):
        done = catalog(kubeconfig=changed(cluster={"server": f"https://127.0.0.1:{port}"})).json(command)
        assert (done.code, done.errors[0]["code"]) == (4, "cluster.unreachable")
        assert f"https://127.0.0.1:{port}" in done.errors[0]["message"]
        assert done.seconds < 10


def test_no_such_host(catalog: MakeCatalog, changed: Any) -> None:
    """A server whose name cannot be resolved is said to be that."""
    done = catalog(kubeconfig=changed(cluster={"server": "https://api.invalid:6443"})).json("status")
    assert (done.code, done.errors[0]["code"]) == (4, "cluster.unreachable")
    assert "cannot be resolved" in done.errors[0]["message"]


def test_a_certificate_of_someone_else(catalog: MakeCatalog, changed: Any) -> None:
    """Without the cluster's CA its certificate is not trusted, and nothing is sent."""
    config = changed(cluster={"certificate-authority": None, "certificate-authority-data": None})
    done = catalog(kubeconfig=config).json("status")
    assert (done.code, done.errors[0]["code"]) == (4, "cluster.unreachable")
    assert "not trusted" in done.errors[0]["message"]


def test_a_certificate_for_another_name(catalog: MakeCatalog, changed: Any) -> None:
    """A certificate that does not name what the kubeconfig says is refused."""
    done = catalog(kubeconfig=changed(cluster={"tls-server-name": "elsewhere.example.com"})).json("status")
    assert (done.code, done.errors[0]["code"]) == (4, "cluster.unreachable")
    assert "another name" in done.errors[0]["message"]


def test_an_exec_plugin(catalog: MakeCatalog, client: Client, space: str, changed: Any) -> None:
    """A token from a credential plugin is used; a plugin that fails is told, with what it said."""
    namespace(client, space)
    token = token_for(client, space, [READ])
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}

    def plugin(program: str) -> dict[str, Any]:
        command = {"command": sys.executable, "args": ["-c", program], "interactiveMode": "Never"}
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **command}}

    good = changed(user=plugin(f"print({json.dumps(status)!r})"))
    assert catalog(kubeconfig=good).json("status").code == 5
    bad = changed(user=plugin("import sys; sys.exit('please log in')"))
    done = catalog(kubeconfig=bad).json("status")
    assert (done.code, done.errors[0]["code"]) == (4, "cluster.unauthorized")
    assert "please log in" in done.errors[0]["message"]


def test_many_connections_at_once(control_plane: Path) -> None:
    """Sixteen threads that open their connections together neither fail nor bring the process down."""
    program = f"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
for _ in range(10):
    client = Client(connect(Path({str(control_plane)!r})))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: client.request("GET", "/version")["major"], range(64)))
    assert found == ["1"] * 64
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
