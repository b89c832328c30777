"""Catalogs for deploys that are disturbed, and what is needed to run, watch and compare those."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.cluster.everything import everything
from tests.command import Wtsctl, environment
from wtsctl.cluster.client import Client

CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults: {{namespace: {space}, images: {{llamacpp: "x:1"}}}}
platform: {{podDisruptionBudgets: off, quota: {{mode: on}}, networkPolicy: {{mode: on, apiServer: []}}}}
models:
"""
MODEL = """\
- name: {name}
  runtime: llamacpp
  model: /weights/model.gguf
  role: chat
  maxModelLen: {length}
  replicas: 0
  resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{cpu: 1, memory: 64Mi}}}}
"""
HELD = """\
  patches:
  - {kind: Deployment, merge: {spec: {template: {spec: {schedulerName: nobody}}}}}
"""


def settled(client: Client, space: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """What lies in a namespace once it is as wanted, or after some seconds: controllers take a moment."""
    deadline = time.monotonic() + 20
    while (found := everything(client, space)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def steady(client: Client, space: str) -> dict[str, Any]:
    """What lies in a namespace once nothing has changed in it for a second."""
    found, since = everything(client, space), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.2)
        if (now := everything(client, space)) != found:
            found, since = now, time.monotonic()
    return found


@contextlib.contextmanager
def started(wtsctl: Wtsctl, *given: str) -> Iterator[subprocess.Popen[str]]:
    """A run under way, with `-o json`."""
    command = [*wtsctl.arguments(*given), "-o", "json"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(holds: Callable[[], object], seconds: float = 60) -> None:
    """Return once something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Said:
    """What a run says on stderr, read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.read: list[str] = []
        assert process.stderr is not None
        self._thread = threading.Thread(target=self._follow, args=(process.stderr,), daemon=True)
        self._thread.start()

    def _follow(self, stream: Any) -> None:
        self.read.extend(stream)

    def has(self, text: str) -> bool:
        """Whether it was said by now."""
        return any(text in line for line in list(self.read))
