"""Runs a program with its output in a log, and turns its failure into one message."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from wtsctl.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAIL_LINES = 6
# Mount and PID namespaces of its own for a program that mounts things and starts others, and an end with this
# process: whatever is killed, no mount and no process stays.
_CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
STOP_SECONDS = 10.0

# What a program prints when the machine, not the program, is at fault, and what to do about it.
_CAUSES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "the disk is full",
        ("No space left on device", "Disk quota exceeded"),
        "free some space and run it again",
    ),
    (
        "the network does not answer",
        (
            "Temporary failure in name resolution",
            "Temporary failure resolving",
            "Name or service not known",
            "Could not resolve",
            "Network is unreachable",
            "Failed to establish a new connection",
            "Could not connect to",
            "Connection timed out",
            "no such host",
        ),
        "it is needed once, to download; check the connection, or the proxy in http_proxy and https_proxy",
    ),
    (
        "a download is not the file that is pinned",
        ("DO NOT MATCH THE HASHES",),
        "the package index or a proxy on the way changed it; ask another index (PIP_INDEX_URL)",
    ),
)


def run(
    argv: Sequence[str],
    *,
    doing: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    contained: bool = False,
    cover: Path | None = None,
) -> None:
    """Run a program to its end, appending its output to `log`.

    Args:
        argv: the program and its arguments; no shell.
        doing: what this is for, as it follows "cannot": "build the image".
        log: the file that stdout and stderr are appended to.
        env: variables set in addition to this process's own.
        cwd: the folder to run it in.
        timeout: seconds after which it is ended.
        contained: give it mount and PID namespaces that end with this process; needs root.
        cover: an existing folder that it finds empty, and what it writes there goes with it; implies `contained`.

    Raises:
        SandboxError: it is not installed, did not end in time, or ended with another code than 0. The
            message has the log's last lines, and the hint the cause where the log tells it.
    """
    if shutil.which(argv[0]) is None:
        raise SandboxError(f"cannot {doing}: {argv[0]} is not installed")
    prefix: tuple[str, ...] = _CONTAINED if contained or cover else ()
    if cover:
        prefix += ("sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(cover))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"\n$ {' '.join(argv)}\n".encode())
        output.flush()
        start = output.tell()
        # A session of its own: mmdebstrap, buildah and apt start children, and all of them have to go when the
        # user interrupts or the time is up.
        child = subprocess.Popen(
            [*prefix, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            _stop(child)
            raise SandboxError(
                f"cannot {doing}: {argv[0]} did not end within {timeout:.0f} s",
                hint=f"its output is in {log}",
            ) from error
        except BaseException:
            _stop(child)
            raise
    if code != 0:
        raise _failure(doing, Path(argv[0]).name, code, log, start)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(STOP_SECONDS)
            break
        except subprocess.TimeoutExpired:
            continue


def _failure(doing: str, program: str, code: int, log: Path, start: int) -> SandboxError:
    with log.open("rb") as written:
        written.seek(start)
        text = written.read().decode(errors="replace")
    tail = deque((line.rstrip() for line in text.splitlines() if line.strip()), maxlen=TAIL_LINES)
    lines = "".join(f"\n    {line}" for line in tail)
    ended = f"{program} was ended by signal {-code}" if code < 0 else f"{program} ended with exit code {code}"
    for cause, marks, hint in _CAUSES:
        if any(mark in text for mark in marks):
            return SandboxError(f"cannot {doing}: {cause} ({ended}){lines}", hint=f"{hint}; its output is in {log}")
    return SandboxError(f"cannot {doing}: {ended}{lines}", hint=f"its output is in {log}")
