"""Keeps a set of processes running: starts them in order, restarts what dies, ends all in reverse order."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wtsctl.sandbox.components import Check, Component

# Seconds between two looks: while something is starting, and when all is well.
_LOOK_STARTING, _LOOK = 0.05, 1.0
# Seconds between two health checks of a component that was healthy.
_CHECK = 5.0
# Seconds before a restart: the first, and the longest. Reset once it has run for a while.
BACKOFF_FIRST, BACKOFF_LONGEST, BACKOFF_RESET = 0.2, 30.0, 60.0
# Seconds that a component has to end by itself before it is killed.
_GRACE = 10.0
LOG_BYTES = 8_000_000

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class _Process:
    component: Component
    child: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    """Wall clock, for people."""
    began: float = 0.0
    """Monotonic, for the back-off."""
    restarts: int = 0
    failures: int = 0
    """Deaths in a row without having run for a while."""
    not_before: float = 0.0
    healthy: bool = False
    ready: bool = False
    """Was healthy at least once, so what comes after it may start."""
    checked: float = 0.0
    ended: str = ""


def backoff(failures: int) -> float:
    """Seconds to wait before the next start, after so many deaths in a row."""
    return float(min(BACKOFF_LONGEST, BACKOFF_FIRST * 2 ** min(failures - 1, 16)))


class Supervisor:
    """Runs components until it is told to end.

    Args:
        components: what to run.
        environment: the children's.
        logs: folder of their output, one file a component, bounded.
        report: file that says how they are, rewritten when that changes.
        pid: this process's number as the machine sees it.
        healthy: asks a component's check.
    """

    def __init__(
        self,
        components: Sequence[Component],
        *,
        environment: Mapping[str, str],
        logs: Path,
        report: Path,
        pid: int,
        healthy: Callable[[Check], bool],
    ) -> None:
        self._processes = {component.name: _Process(component) for component in components}
        self._environment = dict(environment)
        self._logs = logs
        self._report = report
        self._pid = pid
        self._healthy = healthy
        self._started = time.time()
        self._written = ""

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then end everything."""
        # Blocked and waited for, so that nothing is missed between two looks.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            self._look()
            pause = _LOOK if all(process.healthy for process in self._processes.values()) else _LOOK_STARTING
            received = signal.sigtimedwait(_SIGNALS, pause)
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                break
        self._end()

    def _look(self) -> None:
        self._reap()
        now = time.monotonic()
        for process in self._processes.values():
            if process.child is None:
                after = (self._processes[name] for name in process.component.after)
                if now >= process.not_before and all(other.ready for other in after):
                    self._start(process, now)
            elif not process.healthy or now >= process.checked + _CHECK:
                process.healthy = self._healthy(process.component.check)
                process.ready = process.ready or process.healthy
                process.checked = time.monotonic()
                self._bound_log(process)
        self._write()

    def _start(self, process: _Process, now: float) -> None:
        log = self._log(process)
        with log.open("ab") as output:
            try:
                process.child = subprocess.Popen(
                    process.component.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    preexec_fn=_in_child,  # noqa: PLW1509 - this process has one thread
                )
            except OSError as error:
                output.write(f"cannot start {process.component.argv[0]}: {error}\n".encode())
                self._died(process, f"cannot start: {error.strerror}", now)
                return
        process.began, process.started = now, time.time()

    def _reap(self) -> None:
        """Take the exit codes of our own children, and of the orphans that fell to us."""
        own = {process.child.pid: process for process in self._processes.values() if process.child is not None}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = own.get(pid)
            if process is not None:
                code = os.waitstatus_to_exitcode(status)
                assert process.child is not None  # noqa: S101 - it is in `own`
                process.child.returncode = code
                process.child = None
                self._died(process, f"signal {-code}" if code < 0 else f"exit code {code}", time.monotonic())

    def _died(self, process: _Process, how: str, now: float) -> None:
        lived = now - process.began if process.began else 0.0
        process.failures = 1 if lived > BACKOFF_RESET else process.failures + 1
        process.restarts += 1
        process.not_before = now + backoff(process.failures)
        process.healthy = False
        process.ended = how

    def _end(self) -> None:
        """End the components, those first that nothing else waits for."""
        left = {name: process for name, process in self._processes.items() if process.child is not None}
        while left:
            needed = {name for process in left.values() for name in process.component.after}
            wave = [process for name, process in left.items() if name not in needed]
            for number in (signal.SIGTERM, signal.SIGKILL):
                for process in wave:
                    if process.child is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(process.child.pid, number)
                deadline = time.monotonic() + _GRACE
                while any(process.child is not None for process in wave) and time.monotonic() < deadline:
                    signal.sigtimedwait((signal.SIGCHLD,), 0.2)
                    self._reap()
            for process in wave:
                left.pop(process.component.name)
        self._report.unlink(missing_ok=True)

    def _write(self) -> None:
        document = {
            "pid": self._pid,
            "startedAt": self._started,
            "components": {
                name: {
                    "pid": process.child.pid if process.child is not None else None,
                    "startedAt": process.started if process.child is not None else None,
                    "restarts": process.restarts,
                    "healthy": process.healthy,
                    "ready": process.ready,
                    "ended": process.ended,
                }
                for name, process in self._processes.items()
            },
        }
        text = json.dumps(document, indent=1)
        if text != self._written:
            temporary = self._report.with_name(f".{self._report.name}")
            # A full disk must not take the cluster down with it.
            with contextlib.suppress(OSError):
                temporary.write_text(text)
                temporary.replace(self._report)
                self._written = text

    def _log(self, process: _Process) -> Path:
        return self._logs / f"{process.component.name}.log"

    def _bound_log(self, process: _Process) -> None:
        """Move what is in a log that has become too long aside; the process goes on writing to the same file."""
        log = self._log(process)
        with contextlib.suppress(OSError):
            if log.stat().st_size > LOG_BYTES:
                log.with_suffix(".log.1").write_bytes(log.read_bytes())
                os.truncate(log, 0)


def _in_child() -> None:
    """Between fork and exec: die with the supervisor, have no signal blocked and the usual umask.

    The kubelet writes pods' /etc/hosts and /etc/resolv.conf, which users other than root have to read.
    """
    os.umask(0o022)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
