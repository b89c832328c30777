"""Timing whole processes, and saying on what machine."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Taken:
    """What one process took: seconds by the clock, seconds of processor time, MB of memory at most."""

    wall: float
    cpu: float
    memory: float


def taken(command: Sequence[str], environment: Mapping[str, str], *, accept: Sequence[int] = (0,)) -> Taken:
    """Run a command to its end, its output in a pipe; of its processor time the children's that it waited for too.

    Args:
        command: program and arguments.
        environment: all of its environment.
        accept: exit codes that are no failure.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        output = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in accept:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{output.decode(errors='replace')[-2000:]}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def installed(folder: Path) -> dict[str, str]:
    """An environment in which Python compiles a module once, as `pip install` does, and not in each run.

    Args:
        folder: where the compiled modules go; the first run fills it.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(folder)}


def spread(values: Sequence[float]) -> str:
    """The median, and the least and the most where there are several."""
    if len(values) == 1:
        return f"{values[0]:6.2f}"
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def machine() -> str:
    """The date, the machine and how busy it is, in one line."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    info, memory = Path("/proc/cpuinfo").read_text(), Path("/proc/meminfo").read_text()
    cpu = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    total = re.search(r"MemTotal:\s*(\d+)", memory)
    size = f"{int(total[1]) / 2**20:.0f} GiB" if total else "?"
    name = cpu[1] if cpu else platform.machine()
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({name}), {size}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, load average {load}"
    )
