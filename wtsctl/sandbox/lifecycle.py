"""Brings a sandbox up, and takes it down again."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError
from wtsctl.sandbox import (
    api,
    build,
    cgroup,
    kubeconfig,
    launch,
    network,
    prepare,
    readiness,
    status,
    supply,
)
from wtsctl.sandbox.lock import locked
from wtsctl.sandbox.prepare import Wanted
from wtsctl.sandbox.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.sandbox.layout import Layout
    from wtsctl.sandbox.progress import Progress

TIMEOUT = 180.0
"""Seconds that a start may take, without compiling and building images."""


def up(
    layout: Layout,
    progress: Progress,
    *,
    node: bool = True,
    api_port: int | None = None,
    timeout: float = TIMEOUT,
    install: bool = False,
) -> Status:
    """Have the sandbox run and work; nothing happens when it does already.

    Args:
        layout: the sandbox.
        progress: told what is done.
        node: with a node, for which root is needed; else the control plane alone.
        api_port: the API server's port on 127.0.0.1; only without a node.
        timeout: seconds that the start may take, without compiling and building.
        install: install missing Debian packages, as root.

    Raises:
        SandboxError: it cannot be built or started; what this call started is stopped again.
        NotReadyError: it did not become ready in time; likewise.
    """
    with locked(layout.lock, f"another process is changing the sandbox {layout.name!r}", progress):
        layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        running = launch.running(layout)
        plan = prepare.read_plan(layout)
        if running and plan is not None and plan["wanted"]["node"] != node:
            other = "with a node" if plan["wanted"]["node"] else "without a node"
            raise SandboxError(
                f"the sandbox {layout.name!r} is running {other}",
                hint=f"`wtsctl sandbox down --name {layout.name}` first, or choose another --name",
            )
        if api_port is None and plan is not None:
            # What was asked for once stays.
            api_port = plan["wanted"]["apiPort"]
        wanted = Wanted(node, api_port, build.located(layout.cache, build.provided(progress), node=node))
        reason = _why_start(layout, wanted, plan, running=running)
        if not reason and _works(layout, plan):
            return status.read(layout)
        supply.ensure(layout, wanted, progress, install=install)
        try:
            if reason:
                if running:
                    progress(f"stopping the sandbox: {reason}")
                    _take_down(layout, plan)
                plan = _launch(layout, wanted)
            assert plan is not None  # noqa: S101 - no reason to start means that there is one
            readiness.wait(layout, plan, progress, timeout)
        except BaseException:
            if reason:
                _take_down(layout, prepare.read_plan(layout))
            raise
        return status.read(layout, started=bool(reason))


def down(layout: Layout, progress: Progress) -> bool:
    """Stop the sandbox; its data stays. Return whether it ran.

    Raises:
        SandboxError: something of it cannot be removed.
    """
    if not layout.state.exists():
        return False
    with locked(layout.lock, f"another process is changing the sandbox {layout.name!r}", progress):
        running = launch.running(layout)
        _take_down(layout, prepare.read_plan(layout))
        return running


def purge(layout: Layout, progress: Progress, *, keep_cache: bool = False) -> tuple[str, ...]:
    """Stop the sandbox and remove its files, and the cache unless another sandbox runs from it.

    Returns:
        The names of the other sandboxes for which the cache was kept.

    Raises:
        SandboxError: something of it cannot be removed.
    """
    down(layout, progress)
    with locked(layout.lock, f"another process is changing the sandbox {layout.name!r}", progress):
        merged = layout.state / "merged-into"
        if merged.exists():
            kubeconfig.unmerge(f"wtsctl-{layout.name}", Path(merged.read_text()))
        _remove(layout.state)
        others = tuple(
            other.name
            for other in (type(layout)(path.name, path, layout.cache) for path in layout.state.parent.glob("[!.]*"))
            if launch.running(other)
        )
        if not keep_cache and not others:
            if layout.cache.exists():
                with locked(layout.cache / "build.lock", "another process is compiling the sandbox", progress):
                    _remove(layout.cache)
            _prune(layout.cache.parent)
        layout.lock.unlink()
        _prune(layout.state.parent)
        return () if keep_cache else others


def merge(layout: Layout) -> Path:
    """Put the sandbox's context into the user's own kubeconfig, and return that file's path.

    Raises:
        SandboxError: it is no kubeconfig.
    """
    target = kubeconfig.users_own().absolute()
    kubeconfig.merge(layout.kubeconfig, target)
    (layout.state / "merged-into").write_text(str(target))
    return target


def environment(layout: Layout) -> dict[str, str]:
    """The variables that a shell needs to work with the sandbox.

    Raises:
        SandboxError: it was never started.
    """
    plan = prepare.read_plan(layout)
    if plan is None:
        raise SandboxError(f"the sandbox {layout.name!r} was never started", hint="start it: wtsctl sandbox up")
    return prepare.environment_of(layout, plan)


def _why_start(layout: Layout, wanted: Wanted, plan: Mapping[str, Any] | None, *, running: bool) -> str:
    """Why the sandbox has to be started (again); empty if what runs is what is wanted."""
    if not running or plan is None:
        return "it does not run"
    if plan["wanted"] != wanted.as_dict():
        return "it runs other programs or ports than it should now"
    if plan["isolated"] and not network.exists(prepare.link(layout, plan["subnet"]).name):
        return "its network link to this machine is gone"
    if prepare.certificates_due(layout, plan):
        return "certificates have to be renewed"
    return ""


def _works(layout: Layout, plan: Mapping[str, Any] | None) -> bool:
    """Whether a running sandbox needs nothing, its images included."""
    document = launch.report(layout)
    if plan is None or document is None or not all(item["healthy"] for item in document["components"].values()):
        return False
    client = api.Api(plan["server"], layout.pki)
    if not plan["wanted"]["node"]:
        return api.accounts_ready(client)
    return api.node_ready(client) and not supply.images_missing(layout)


def _launch(layout: Layout, wanted: Wanted) -> dict[str, Any]:
    if not wanted.node:
        plan = prepare.write(layout, wanted)
        launch.start(layout, isolated=False, connect=lambda _: None)
        return plan
    with network.choosing():
        plan = prepare.write(layout, wanted)
        cgroup.create(prepare.cgroup(layout))
        pair = prepare.link(layout, plan["subnet"])
        launch.start(layout, isolated=True, connect=lambda pid: network.connect(pair, pid))
    return plan


def _take_down(layout: Layout, plan: Mapping[str, Any] | None) -> None:
    """End the processes and remove what is outside of their namespaces."""
    launch.stop(layout)
    if plan is not None and plan.get("subnet") and shutil.which("ip"):
        network.disconnect(prepare.link(layout, plan["subnet"]).name)
    if cgroup.exists(prepare.cgroup(layout)):
        cgroup.remove(prepare.cgroup(layout))


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SandboxError(f"cannot remove {error.filename}: {error.strerror}") from error


def _prune(folder: Path) -> None:
    """Remove our own folders above what was removed, as far as they are empty."""
    while folder.name in {"sandbox", "wtsctl"}:
        with suppress(OSError):
            folder.rmdir()
        if folder.exists():
            return
        folder = folder.parent
