"""The pod that shows that the node runs pods: asked for once, looked at, taken away; a kubelet that sleeps is woken."""

from __future__ import annotations

from typing import Any

from wtsctl.sandbox.firstpod import NAME, RESTART_SECONDS, FirstPod


class Cluster:
    """An API server whose kubelet starts a pod `needs` seconds after it was made; one that sleeps needs a restart."""

    def __init__(self, *, needs: float = 2.0, asleep: bool = False, left: bool = False) -> None:
        self.time = 0.0
        self.needs = needs
        self.account = 0.5
        self.asleep = asleep
        self.made = 0.0 if left else None
        self.requests: list[str] = []
        self.restarts = 0

    def get(self, path: str) -> dict[str, Any] | None:
        """The pod, or the account that pods run as."""
        self.requests.append(f"GET {path}")
        if "/serviceaccounts/" in path:
            return {} if self.time >= self.account else None
        if self.made is None:
            return None
        runs = not self.asleep and self.time - self.made >= self.needs
        return {"status": {"phase": "Running" if runs else "Pending"}}

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Make the pod."""
        self.requests.append(f"POST {path}/{body['metadata']['name']}")
        self.made = self.time

    def delete(self, path: str) -> None:
        """Take it away."""
        self.requests.append(f"DELETE {path}")
        self.made = None

    def restart(self) -> None:
        """Wake the kubelet."""
        self.restarts += 1
        self.asleep = False

    def until_ran(self, most: float) -> float:
        """Seconds until the pod ran, asked every 50 ms."""
        pod = FirstPod(self, self.restart, lambda: self.time)
        while not pod.ran():
            self.time += 0.05
            assert self.time < most
        return self.time


def test_a_pod_that_runs() -> None:
    """Once pods have an account, it is asked for once, looked at a few times a second, and gone afterwards."""
    cluster = Cluster(needs=2.0)
    assert 2.5 <= cluster.until_ran(4.0) <= 2.8
    assert cluster.made is None
    assert sum(one.startswith("POST") for one in cluster.requests) == 1
    asked = [one for one in cluster.requests if one.startswith("GET") and one.endswith(NAME)]
    assert len(asked) <= 30
    assert cluster.restarts == 0


def test_a_kubelet_that_sleeps() -> None:
    """It is started again once, after a while, and then the pod runs."""
    cluster = Cluster(asleep=True)
    assert cluster.until_ran(RESTART_SECONDS + 3) > RESTART_SECONDS
    assert cluster.restarts == 1


def test_one_of_an_earlier_start() -> None:
    """A pod that an interrupted start left is made anew."""
    cluster = Cluster(left=True)
    cluster.until_ran(3.0)
    assert cluster.requests[0].startswith("DELETE")
    assert sum(one.startswith("POST") for one in cluster.requests) == 1
