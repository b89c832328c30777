"""How a sandbox is: its processes, its node, its images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError
from wtsctl.sandbox import api, launch, prepare, programs
from wtsctl.sandbox.imports import IMAGES, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.sandbox.layout import Layout


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One process of a sandbox.

    Attributes:
        name: the component's.
        pid: its number on this machine; None while it does not run.
        uptime: seconds since it was started; None while it does not run.
        restarts: how often it died since the sandbox was started.
        healthy: whether it answered its last health check.
        ended: how it ended last: `exit code 1`, `signal 9`; empty if it never did.
    """

    name: str
    pid: int | None
    uptime: float | None
    restarts: int
    healthy: bool
    ended: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a sandbox is.

    Attributes:
        name: the sandbox's.
        created: whether it was ever started and not purged.
        running: whether its init lives.
        node: whether it has, or had, a node.
        node_ready: whether the node takes pods; None without one.
        server: the API server's URL; empty if it was never started.
        kubeconfig: the administrator's; None if it was never started.
        components: its processes, in the order they start.
        versions: of what it is made of.
        images: the images that the node has.
        started: whether this call of `up` started it.
    """

    name: str
    created: bool
    running: bool = False
    node: bool = False
    node_ready: bool | None = None
    server: str = ""
    kubeconfig: Path | None = None
    components: tuple[ComponentStatus, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()
    started: bool = False

    @property
    def up(self) -> bool:
        """Whether all of it works."""
        return (
            self.running
            and bool(self.components)
            and all(component.healthy for component in self.components)
            and self.node_ready is not False
        )


def read(layout: Layout, *, started: bool = False) -> Status:
    """How the sandbox is now."""
    plan = prepare.read_plan(layout)
    versions = tuple(programs.versions().items())
    if plan is None:
        return Status(layout.name, created=False, versions=versions)
    node = bool(plan["wanted"]["node"])
    running = launch.running(layout)
    document = launch.report(layout) if running else None
    client = api.Api(plan["server"], layout.pki) if document else None
    return Status(
        layout.name,
        created=True,
        running=running,
        node=node,
        node_ready=api.node_ready(client) if node and client else (False if node else None),
        server=plan["server"],
        kubeconfig=layout.kubeconfig,
        components=_components(plan, document),
        versions=versions,
        images=_images(layout, plan, document) if node and document else (),
        started=started,
    )


def _images(layout: Layout, plan: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[str, ...]:
    """What containerd has: the node's own list is minutes old at times. Empty while containerd is down."""
    node = Node(document["pid"], Path(plan["wanted"]["programs"]["ctr"]), layout.state / IMAGES)
    try:
        return tuple(sorted(node.names()))
    except SandboxError:
        return ()


def _components(plan: Mapping[str, Any], document: Mapping[str, Any] | None) -> tuple[ComponentStatus, ...]:
    now = time.time()
    known = document["components"] if document else {}
    outside = launch.numbers(document["pid"]) if document else {}
    found = []
    for item in plan["components"]:
        record = known.get(item["name"], {})
        pid, began = record.get("pid"), record.get("startedAt")
        found.append(
            ComponentStatus(
                name=item["name"],
                pid=outside.get(pid, pid),
                uptime=None if began is None else max(0.0, now - began),
                restarts=record.get("restarts", 0),
                healthy=record.get("healthy", False),
                ended=record.get("ended", ""),
            )
        )
    return tuple(found)
