"""Starts and stops a sandbox's init, in namespaces of its own or as an ordinary process."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wtsctl.errors import SandboxError
from wtsctl.sandbox import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from wtsctl.sandbox.layout import Layout

# Capabilities by their bits, <linux/capability.h>.
_NET_ADMIN, _SYS_ADMIN, _SYS_RESOURCE = 12, 21, 24
# Ending in order takes as long as etcd needs to write; after this it is killed.
_STOP_SECONDS = 40.0


def without_node() -> str:
    """Why pods cannot run here, or nothing if they can."""
    if os.geteuid() != 0:
        return "you are not root"
    lacking = [
        name for name, bit in (("CAP_NET_ADMIN", _NET_ADMIN), ("CAP_SYS_ADMIN", _SYS_ADMIN)) if not has_capability(bit)
    ]
    return f"root lacks {' and '.join(lacking)} here" if lacking else ""


def may_raise_priority() -> bool:
    """Whether oom_score_adj may be lowered; in many containers root may not."""
    return has_capability(_SYS_RESOURCE)


def has_capability(bit: int) -> bool:
    """Whether this process has a capability in effect."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> bit & 1)
    return False


def running(layout: Layout) -> bool:
    """Whether the sandbox's init lives: it holds its lock as long as it does."""
    try:
        descriptor = os.open(layout.init_lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def report(layout: Layout) -> dict[str, Any] | None:
    """What init says of itself and the components; None while it says nothing."""
    try:
        document = json.loads(layout.report.read_text())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def start(layout: Layout, *, isolated: bool, connect: Callable[[int], None]) -> int:
    """Start init and return its process number.

    Args:
        layout: the sandbox; its plan is written.
        isolated: in network, mount and PID namespaces of its own.
        connect: given the process number, makes the network; init waits for it.

    Raises:
        SandboxError: init did not start.
    """
    layout.report.unlink(missing_ok=True)
    # A session of its own and no parent: it outlives this command and its terminal.
    argv = ["setsid", "--fork"]
    if isolated:
        argv += ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    argv += [sys.executable, "-P", "-m", "wtsctl.sandbox.init", str(layout.state)]
    log = layout.logs / "init.log"
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, cwd="/"
            )
        except FileNotFoundError as error:
            raise SandboxError("the command `setsid` is not installed", hint="apt install util-linux") from error
    with child:
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - PIPE above
        answer = child.stdout.readline().strip()
        if not answer.isdecimal():
            raise SandboxError(f"the sandbox's init did not start:{logs.tail(log)}", hint=f"its output is in {log}")
        pid = int(answer)
        # Without the line below init ends by itself, so a failure here leaves nothing.
        connect(pid)
        with suppress(BrokenPipeError):
            child.stdin.write("go\n")
            child.stdin.flush()
    return pid


def stop(layout: Layout) -> None:
    """End init and everything it started, in order; nothing when it does not run."""
    while running(layout):
        document = report(layout)
        pid = document["pid"] if document else _holder(layout)
        # It may end between two of these lines; the next look then finds nothing.
        with suppress(ProcessLookupError):
            if pid is not None:
                _end(pid)
    layout.report.unlink(missing_ok=True)


def _end(pid: int) -> None:
    """End a process and wait until it is gone, with its namespaces' other processes; in the end by force."""
    # A descriptor cannot come to mean another process, as a number can.
    descriptor = os.pidfd_open(pid)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if poll.poll(_STOP_SECONDS * 1000):
                return
    finally:
        os.close(descriptor)


def _holder(layout: Layout) -> int | None:
    """The process that holds the lock of an init that has not said anything yet; None if it is gone by now."""
    try:
        wanted = str(layout.init_lock.stat().st_ino)
    except OSError:
        return None
    for line in Path("/proc/locks").read_text().splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        fields = line.split()
        if fields[1] == "FLOCK" and fields[3] == "WRITE" and fields[5].rpartition(":")[2] == wanted:
            return int(fields[4])
    return None


def numbers(pid: int) -> dict[int, int]:
    """The processes in the PID namespace of `pid`: their numbers inside to those on this machine.

    Empty when that namespace cannot be looked into, or is this machine's own.
    """
    try:
        namespace = os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - it is no path
        if namespace == os.readlink("/proc/self/ns/pid"):  # noqa: PTH115
            return {}
    except OSError:
        return {}
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        # It may end while we look.
        with suppress(OSError):
            if os.readlink(folder / "ns" / "pid") == namespace:  # noqa: PTH115
                for line in (folder / "status").read_text().splitlines():
                    if line.startswith("NSpid:"):
                        found[int(line.split()[-1])] = int(folder.name)
    return found
