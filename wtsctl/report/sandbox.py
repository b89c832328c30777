"""What the `sandbox` commands say: the processes, the node, how to use it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from wtsctl.errors import NotReadyError, Problem
from wtsctl.report.models import plain_table, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.report.terminal import Terminal
    from wtsctl.sandbox.status import Status


def sandbox_data(status: Status) -> dict[str, Any]:
    """The `data` of `sandbox up` and `sandbox status` with `-o json`."""
    return {
        "name": status.name,
        "created": status.created,
        "running": status.running,
        "up": status.up,
        "started": status.started,
        "node": {"ready": status.node_ready} if status.node else None,
        "server": status.server or None,
        "kubeconfig": str(status.kubeconfig) if status.kubeconfig else None,
        "components": [
            {
                "name": one.name,
                "pid": one.pid,
                "uptimeSeconds": None if one.uptime is None else round(one.uptime, 3),
                "restarts": one.restarts,
                "healthy": one.healthy,
                "ended": one.ended or None,
            }
            for one in status.components
        ],
        "versions": dict(status.versions),
        "images": list(status.images),
    }


def show_status(terminal: Terminal, status: Status) -> None:
    """Write the table of the components and what stands above and below it on stdout."""
    if not status.created:
        terminal.write(f"The sandbox {status.name!r} was never started; start it with: wtsctl sandbox up\n")
        return
    from rich.text import Text

    terminal.write(_headline(status))
    table = plain_table()
    for name in ("COMPONENT", "STATE", "PID", "UPTIME", "RESTARTS", "LAST END"):
        table.add_column(name, no_wrap=True)
    for one in status.components:
        state = "healthy" if one.healthy else ("stopped" if one.pid is None else "unhealthy")
        table.add_row(
            one.name,
            Text(state, style="green" if one.healthy else "red"),
            str(one.pid or "-"),
            span(one.uptime),
            str(one.restarts),
            one.ended or "-",
        )
    terminal.print(table)
    terminal.write(f"\nVersions:   {', '.join(f'{name} {version}' for name, version in status.versions)}\n")
    if status.node and status.running:
        terminal.write(f"Images:     {', '.join(status.images) or 'none'}\n")
    terminal.write(f"Kubeconfig: {status.kubeconfig}\n")


def show_up(terminal: Terminal, status: Status) -> None:
    """Write in two lines what runs, and say on stderr how to use it."""
    terminal.write(_headline(status))
    terminal.write(f"Kubeconfig: {status.kubeconfig}\n")
    name = "" if status.name == "wtsctl" else f" --name {status.name}"
    terminal.note(f'To use it in this shell: eval "$(wtsctl sandbox env{name})"')


def show_environment(terminal: Terminal, variables: Mapping[str, str]) -> None:
    """Write the lines that a shell evaluates."""
    for name, value in variables.items():
        terminal.write(f"export {name}={shlex.quote(value)}\n")


def problems(status: Status) -> tuple[Problem, ...]:
    """The problem of a sandbox that is not up."""
    if status.up:
        return ()
    name = f"the sandbox {status.name!r}"
    hint = f"wtsctl sandbox up --name {status.name}" if status.name != "wtsctl" else "wtsctl sandbox up"
    if not status.created:
        return (Problem(NotReadyError.code, f"{name} was never started", hint=hint),)
    if not status.running:
        return (Problem(NotReadyError.code, f"{name} does not run", hint=f"start it again: {hint}"),)
    down = [one.name for one in status.components if not one.healthy]
    if not down:
        down = ["the node"]
    return (Problem(NotReadyError.code, f"{name} is not healthy: {', '.join(down)}", hint=f"repair it: {hint}"),)


def _headline(status: Status) -> str:
    release = dict(status.versions)["kubernetes"]
    node = "" if not status.node else ("; its node is ready" if status.node_ready else "; its node is not ready")
    if not status.node:
        node = "; no node, so pods stay Pending"
    if not status.running:
        return f"The sandbox {status.name!r} does not run; its data is kept.\n"
    return f"The sandbox {status.name!r} runs Kubernetes {release} on {status.server}{node}.\n"
