"""Running a program with its output in a log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox import process

if TYPE_CHECKING:
    from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - procfs, not a path to keep
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Whether a process ends within two seconds."""
    deadline = time.monotonic() + 2
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    """The log has the command line and what it wrote on either stream, after what was there."""
    log = tmp_path / "logs" / "a.log"
    process.run(["sh", "-c", "echo one"], doing="test", log=log)
    process.run(["sh", "-c", "echo two >&2"], doing="test", log=log)
    assert log.read_text() == "\n$ sh -c echo one\none\n\n$ sh -c echo two >&2\ntwo\n"


def test_failure_shows_the_last_lines(tmp_path: Path) -> None:
    """The message names the purpose, the program, its exit code and the end of its own output only."""
    log = tmp_path / "a.log"
    process.run(["sh", "-c", "echo earlier"], doing="test", log=log)
    with pytest.raises(SandboxError) as raised:
        process.run(["sh", "-c", "seq 100; exit 7"], doing="count", log=log)
    problem = raised.value.problems[0]
    assert problem.message == (
        "cannot count: sh ended with exit code 7\n    95\n    96\n    97\n    98\n    99\n    100"
    )
    assert problem.hint == f"its output is in {log}"


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("tar: write error: No space left on device", "the disk is full"),
        ("W: Temporary failure resolving 'deb.debian.org'", "the network does not answer"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "is not the file that is pinned"),
    ],
)
def test_failure_names_the_cause_that_the_log_tells(tmp_path: Path, output: str, cause: str) -> None:
    """A full disk, a missing network and a changed download are called by their names."""
    with pytest.raises(SandboxError, match=cause):
        process.run(["sh", "-c", 'echo "$0"; exit 1', output], doing="test", log=tmp_path / "a.log")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """A program that is not installed is an error of the sandbox, not a traceback."""
    with pytest.raises(SandboxError, match="cannot test: no-such-program is not installed"):
        process.run(["no-such-program"], doing="test", log=tmp_path / "a.log")


def test_timeout_ends_the_children_too(tmp_path: Path) -> None:
    """When the time is up, what the program started goes with it."""
    pidfile = tmp_path / "pid"
    command = ["sh", "-c", 'sleep 60 & echo $! > "$0"; wait', str(pidfile)]
    with pytest.raises(SandboxError, match="did not end within 1 s"):
        process.run(command, doing="test", log=tmp_path / "a.log", timeout=1)
    assert gone(int(pidfile.read_text()))


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_contained_program_dies_with_its_caller(tmp_path: Path) -> None:
    """After a kill -9 of the caller neither the program nor a mount that it made is left."""
    pidfile = tmp_path / "pid"
    inside = (
        'mount -t tmpfs none "$1" && { sleep 60 & } && grep PPid /proc/self/status > "$0.part"; mv "$0.part" "$0"; wait'
    )
    program = (
        "import sys; from pathlib import Path; from wtsctl.sandbox import process\n"
        "process.run(sys.argv[1:], doing='test', log=Path('/dev/null'), contained=True)"
    )
    target = tmp_path / "mnt"
    target.mkdir()
    caller = subprocess.Popen([sys.executable, "-c", program, "sh", "-c", inside, str(pidfile), str(target)])
    try:
        deadline = time.monotonic() + 10
        while not pidfile.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        contained = int(subprocess.check_output(["pgrep", "-P", str(caller.pid)]))
        assert alive(contained)
    finally:
        caller.kill()
        caller.wait()
    assert gone(contained)
    with open("/proc/self/mountinfo") as mounts:  # noqa: PTH123 - procfs, not a path to keep
        assert str(target) not in mounts.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_covered_folder_keeps_nothing(tmp_path: Path) -> None:
    """A covered folder is empty for the program, and what the program writes there never reaches it."""
    (tmp_path / "before").touch()
    log = tmp_path.with_suffix(".log")
    process.run(
        ["sh", "-c", 'ls "$0"; touch "$0/after"; ls "$0"', str(tmp_path)], doing="test", log=log, cover=tmp_path
    )
    assert log.read_text().splitlines()[2:] == ["after"]
    assert [path.name for path in tmp_path.iterdir()] == ["before"]
