"""Process 1 of the sandbox: `python -m wtsctl.sandbox.init STATE`, run by `lifecycle`, never by hand.

It takes the plan from `STATE/plan.json`:

    isolated     whether it is in namespaces of its own
    root         the state folder as the components see it
    binds        [source, target] to mount, in order (isolated)
    files        path to text: files to mount over others (isolated)
    commands     argument lists that set the network up (isolated)
    environment  the components' variables
    components   what to run: `components.Component`, as dicts

It says its process number on stdout, waits for a line on stdin (the network is not there before), and then
runs until SIGTERM. If whoever started it goes away before that line, it ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from wtsctl.sandbox import health, mounts
from wtsctl.sandbox.components import Check, Component
from wtsctl.sandbox.supervisor import Supervisor

_PR_SET_CHILD_SUBREAPER = 36


def main(state: Path) -> None:
    """Run the sandbox whose state folder this is."""
    os.umask(0o077)
    # Held until this process ends, however it ends: how others know that the sandbox runs.
    lock = os.open(state / "init.lock", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    plan = json.loads((state / "plan.json").read_text())
    # /proc is still the machine's, so this is the number that it knows us by.
    pid = int(os.readlink("/proc/self"))  # noqa: PTH115
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        return
    _detach(state / "logs" / "init.log")
    if plan["isolated"]:
        mounts.build([(source, target) for source, target in plan["binds"]], plan["files"])
        for command in plan["commands"]:
            subprocess.run(command, check=True)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    else:
        # Orphans of the components come to us, as they do to process 1.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    root = Path(plan["root"])
    os.chdir("/")
    Supervisor(
        [
            Component(item["name"], tuple(item["argv"]), Check(**item["check"]), tuple(item["after"]))
            for item in plan["components"]
        ],
        environment=plan["environment"],
        logs=root / "logs",
        report=root / "status.json",
        pid=pid,
        healthy=health.healthy,
    ).run()


def _detach(log: Path) -> None:
    """Give up the pipes to whoever started us."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
