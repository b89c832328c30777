"""Whether the node runs pods: a Ready node says that it could, a pod that runs says that it does.

Twice a sandbox came up whose node was Ready and whose pods stayed at their beginning as long as it lived; why is
not known (docs/explanation/sandbox.md). So a sandbox counts as up once a pod ran, and a kubelet that does not get that
far is started once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wtsctl.sandbox.config import PAUSE_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAMESPACE, NAME = "kube-system", "wtsctl-first-pod"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_ACCOUNT = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
# In five starts at a load of 8 to 11 a pod ran a second after it was asked for.
RESTART_SECONDS = 30.0
_LOOK_SECONDS = 0.2


class Server(Protocol):
    """What is asked of the API server."""

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, or None."""

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Create an object unless it exists."""

    def delete(self, path: str) -> None:
        """Delete an object at once, if it is there."""


class FirstPod:
    """Asks for a pod, and says whether it ran.

    Args:
        server: the API server.
        restart: ends the kubelet, which its supervisor starts again.
        now: seconds of a clock that only goes forward.
    """

    def __init__(self, server: Server, restart: Callable[[], None], now: Callable[[], float]) -> None:
        self._server = server
        self._restart = restart
        self._now = now
        self._asked: float | None = None
        self._looked = float("-inf")
        self._restarted = False
        self._ran = False

    def ran(self) -> bool:
        """Whether it ran; to be called again and again until it did, which takes the pod away."""
        if self._ran:
            return True
        now = self._now()
        if self._asked is None:
            # One that an interrupted start left says nothing of this one.
            self._server.delete(f"{_PODS}/{NAME}")
            if self._server.get(f"{_PODS}/{NAME}") is not None or self._server.get(_ACCOUNT) is None:
                return False
            self._server.create(_PODS, _pod())
            self._asked = now
        if now - self._looked < _LOOK_SECONDS:
            return False
        self._looked = now
        pod = self._server.get(f"{_PODS}/{NAME}") or {}
        self._ran = (pod.get("status") or {}).get("phase") == "Running"
        if self._ran:
            self._server.delete(f"{_PODS}/{NAME}")
        elif now - self._asked > RESTART_SECONDS and not self._restarted:
            self._restart()
            self._restarted = True
        return self._ran


def _pod() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "wtsctl-sandbox"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "pause", "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}],
        },
    }
