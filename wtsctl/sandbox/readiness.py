"""Waits until a started sandbox works, and meanwhile does what can be done: grants roles, imports images."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import NotReadyError, SandboxError
from wtsctl.sandbox import api, images, launch, logs
from wtsctl.sandbox.firstpod import FirstPod
from wtsctl.sandbox.imports import IMAGES, Node
from wtsctl.sandbox.supply import images_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.sandbox.layout import Layout
    from wtsctl.sandbox.progress import Progress

_LOOK = 0.05
# A component that died so often before it worked once will not work.
_DEATHS = 4
_FIRST_POD = ("a first pod",)


def wait(layout: Layout, plan: Mapping[str, Any], progress: Progress, timeout: float) -> None:
    """Wait until everything works, and meanwhile do what can be done: grant roles, import images."""
    deadline = time.monotonic() + timeout
    node = bool(plan["wanted"]["node"])
    client = api.Api(plan["server"], layout.pki)
    importing = _Importing(layout, plan, progress) if node else None
    first = FirstPod(client, lambda: _restart_kubelet(layout, progress), time.monotonic) if node else None
    granted = False
    doing = f"start the sandbox {layout.name!r}"
    while True:
        waiting = _waiting(layout, plan)
        if "kube-apiserver" not in waiting and not granted:
            api.grant(client)
            granted = True
        if importing is not None and "containerd" not in waiting:
            importing.begin()
        waiting = waiting or _left(client, importing, first)
        if not waiting:
            progress("", doing=doing)
            return
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"the sandbox was not ready within {timeout:.0f} s; still waiting for {', '.join(waiting)}"
                + _last_lines(layout, waiting),
                hint=f"all logs are in {layout.logs}; a slow machine may need a longer --timeout",
            )
        progress(f"waiting for {', '.join(waiting)}", doing=doing)
        time.sleep(_LOOK)


def _waiting(layout: Layout, plan: Mapping[str, Any]) -> tuple[str, ...]:
    """The components that do not work yet.

    Raises:
        SandboxError: one will not, or init is gone.
    """
    if not launch.running(layout):
        log = layout.logs / "init.log"
        raise SandboxError(f"the sandbox's init ended:{logs.tail(log)}", hint=f"its output is in {log}")
    document = launch.report(layout)
    known = document["components"] if document else {}
    for name, record in known.items():
        if not record["ready"] and record["restarts"] >= _DEATHS:
            log = layout.logs / f"{name}.log"
            raise SandboxError(
                f"{name} does not start: {record['ended']}; its last lines:{logs.tail(log)}",
                hint=f"the whole log is {log}",
            )
    return tuple(item["name"] for item in plan["components"] if not known.get(item["name"], {}).get("healthy", False))


def _left(client: api.Api, importing: _Importing | None, first: FirstPod | None) -> tuple[str, ...]:
    """What is not done, once all components work; all but the first are a node's."""
    if not api.accounts_ready(client):
        return ("the ServiceAccount default",)
    if importing is None or first is None:
        return ()
    if not api.node_ready(client):
        return ("the node",)
    if not importing.done():
        return ("images",)
    return () if first.ran() else _FIRST_POD


def _restart_kubelet(layout: Layout, progress: Progress) -> None:
    """End the kubelet, which init starts again."""
    document = launch.report(layout)
    pid = document["components"]["kubelet"]["pid"] if document else None
    if pid:
        progress("no pod runs although the node is ready: starting the kubelet again")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _last_lines(layout: Layout, waiting: tuple[str, ...]) -> str:
    """The last lines of the first component that is waited for; of the kubelet, where it is a pod."""
    name = "kubelet" if waiting == _FIRST_POD else waiting[0]
    log = layout.logs / f"{name}.log"
    return f"\n  {name}:{logs.tail(log)}" if log.exists() else ""


class _Importing:
    """Imports the images in a thread, beside the start of the control plane."""

    def __init__(self, layout: Layout, plan: Mapping[str, Any], progress: Progress) -> None:
        self._layout = layout
        self._programs = {name: Path(path) for name, path in plan["wanted"]["programs"].items()}
        self._progress = progress
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def begin(self) -> None:
        """Start, unless it was started."""
        document = launch.report(self._layout)
        if self._thread is None and document is not None:
            self._thread = threading.Thread(target=self._run, args=(document["pid"],), daemon=True)
            self._thread.start()

    def done(self) -> bool:
        """Whether all are imported.

        Raises:
            SandboxError: one cannot be.
        """
        if self._failure is not None:
            raise self._failure
        return self._thread is not None and not self._thread.is_alive()

    def _run(self, pid: int) -> None:
        try:
            node = Node(pid, self._programs["ctr"], self._layout.state / IMAGES)
            node.add_pause(self._programs["pause"])
            if images_missing(self._layout):
                node.add(images.ensure(self._layout.cache, self._progress), self._progress)
        except BaseException as error:  # noqa: BLE001 - raised again by `done`
            self._failure = error
