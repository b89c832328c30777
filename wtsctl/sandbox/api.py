"""The few requests that the sandbox itself has for its API server, by the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wtsctl.errors import SandboxError
from wtsctl.sandbox.config import NODE

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 5.0
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Api:
    """A client with the administrator's certificate.

    Args:
        server: the API server's URL.
        pki: the folder with `ca.crt` and the administrator's certificate and key.
    """

    def __init__(self, server: str, pki: Path) -> None:
        self._url = urlsplit(server)
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, or None when it is not there or nobody answers."""
        status, body = self._request("GET", path)
        return body if status == http.client.OK else None

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object unless it exists.

        Raises:
            SandboxError: the API server said no.
        """
        status, answer = self._request("POST", path, body)
        if status not in {http.client.OK, http.client.CREATED, http.client.CONFLICT}:
            raise SandboxError(f"cannot create {path}/{body['metadata']['name']}: {answer.get('message', status)}")

    def delete(self, path: str) -> None:
        """Delete an object at once, if it is there."""
        self._request("DELETE", f"{path}?gracePeriodSeconds=0")

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection(
            str(self._url.hostname), self._url.port, timeout=_TIMEOUT, context=self._context
        )
        with contextlib.closing(connection):
            try:
                headers = {"Content-Type": "application/json"}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                return 0, {"message": str(error)}
            return response.status, answer


def grant(api: Api) -> None:
    """What the components may do beyond the roles that Kubernetes creates by itself."""
    # The API server, towards the kubelet: logs, exec, port-forward.
    api.create(
        f"{_RBAC}/clusterrolebindings",
        _binding("wtsctl:kubelet-api", "system:kubelet-api-admin", "kube-apiserver-kubelet-client"),
    )
    api.create(
        f"{_RBAC}/clusterroles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "wtsctl:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
    )
    api.create(
        f"{_RBAC}/clusterrolebindings",
        _binding("wtsctl:coredns", "wtsctl:coredns", "system:coredns"),
    )


def _binding(name: str, role: str, user: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }


def accounts_ready(api: Api) -> bool:
    """Whether a pod can be created: it gets the ServiceAccount `default`, which the controller manager makes."""
    return api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None


def node_ready(api: Api) -> bool:
    """Whether the node takes pods: Ready, and no longer tainted as not ready."""
    node = api.get(f"/api/v1/nodes/{NODE}")
    if node is None:
        return False
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions", [])}
    taints = {item["key"] for item in node["spec"].get("taints") or []}
    return conditions.get("Ready") == "True" and not any(key.startswith("node.kubernetes.io/") for key in taints)
