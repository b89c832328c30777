"""The sandbox's init, as an ordinary process that runs real children."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wtsctl.sandbox import launch
from wtsctl.sandbox.components import Check, Component
from wtsctl.sandbox.layout import Layout
from wtsctl.sandbox.supervisor import BACKOFF_LONGEST, LOG_BYTES, backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 15.0

# Takes connections on a socket once it has waited; says when it starts and when it is told to end.
SERVER = """
import os, signal, socket, sys, time
path, journal, wait = sys.argv[1], sys.argv[2], float(sys.argv[3])
name = os.path.basename(path)
def say(what):
    with open(journal, "a") as handle:
        handle.write(f"{what} {name}\\n")
def end(number, frame):
    say("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
say("start")
time.sleep(wait)
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
while True:
    server.accept()[0].close()
"""


def server(folder: Path, name: str, *after: str, wait: float = 0.0) -> Component:
    """A component that is healthy `wait` seconds after its start."""
    argv = (sys.executable, "-c", SERVER, f"{folder}/{name}", f"{folder}/journal", str(wait))
    return Component(name, argv, Check(socket=f"{folder}/{name}"), after)


def until(what: Callable[[], Any]) -> Any:
    """The first true answer, within a bound."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.02)
    pytest.fail(f"nothing came of it within {SECONDS:.0f} s")


def alive(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def running(folder: Path, *components: Component) -> Iterator[Layout]:
    """A sandbox of these components, ended at the end however the test went."""
    layout = Layout("test", folder / "state", folder / "cache")
    layout.logs.mkdir(parents=True)
    plan = {
        "isolated": False,
        "root": str(layout.state),
        "environment": {"PATH": os.environ["PATH"]},
        "components": [asdict(component) for component in components],
    }
    layout.plan.write_text(json.dumps(plan))
    launch.start(layout, isolated=False, connect=lambda _pid: None)
    try:
        yield layout
    finally:
        launch.stop(layout)


def parts(layout: Layout) -> dict[str, Any]:
    """What init says of the components; nothing at first."""
    document = launch.report(layout)
    return dict(document["components"]) if document else {}


def healthy(layout: Layout) -> bool:
    """Whether all components answer."""
    found = parts(layout)
    return bool(found) and all(part["healthy"] for part in found.values())


def test_each_starts_when_what_it_needs_answers(tmp_path: Path) -> None:
    """A start waits for health, not for the start of what it needs; an end goes the other way round."""
    first, second = server(tmp_path, "first", wait=0.5), server(tmp_path, "second", "first")
    journal = tmp_path / "journal"
    with running(tmp_path, second, first) as layout:
        until(journal.exists)
        time.sleep(0.2)
        assert journal.read_text().split("\n")[:-1] == ["start first"]
        until(lambda: healthy(layout))
    assert journal.read_text().split("\n")[:-1] == ["start first", "start second", "end second", "end first"]


def test_a_killed_component_comes_back(tmp_path: Path) -> None:
    """It gets another process and a count; its neighbour keeps its own."""
    with running(tmp_path, server(tmp_path, "a"), server(tmp_path, "b")) as layout:
        until(lambda: healthy(layout))
        before = parts(layout)
        os.kill(before["a"]["pid"], signal.SIGKILL)
        until(lambda: parts(layout)["a"]["restarts"] == 1 and healthy(layout))
        after = parts(layout)
        assert after["a"]["pid"] != before["a"]["pid"]
        assert after["a"]["ended"] == "signal 9"
        assert after["b"] == before["b"]


def test_one_that_cannot_start_is_tried_again_and_said(tmp_path: Path) -> None:
    """A program that is not there is a component that is down, with the reason in its log, not the end of all."""
    missing = Component("missing", ("/no/such/program",), Check(socket=f"{tmp_path}/none"))
    failing = Component("failing", (sys.executable, "-c", "exit('broken')"), Check(socket=f"{tmp_path}/none"))
    with running(tmp_path, server(tmp_path, "a"), missing, failing) as layout:
        down = ("missing", "failing")
        until(lambda: parts(layout) and all(parts(layout)[name]["restarts"] >= 2 for name in down))
        assert parts(layout)["missing"]["ended"] == "cannot start: No such file or directory"
        assert parts(layout)["failing"]["ended"] == "exit code 1"
        assert "cannot start /no/such/program" in (layout.logs / "missing.log").read_text()
        assert "broken" in (layout.logs / "failing.log").read_text()
        assert not parts(layout)["failing"]["ready"]
        until(lambda: parts(layout)["a"]["healthy"])


def test_components_die_with_init(tmp_path: Path) -> None:
    """A kill -9 of init leaves nothing running, and the lock is free for the next."""
    with running(tmp_path, server(tmp_path, "a")) as layout:
        until(lambda: healthy(layout))
        document = launch.report(layout)
        assert document is not None
        child = document["components"]["a"]["pid"]
        assert launch.running(layout)
        os.kill(document["pid"], signal.SIGKILL)
        until(lambda: not alive(child))
        until(lambda: not launch.running(layout))


def test_orphans_end_with_the_sandbox(tmp_path: Path) -> None:
    """What a component leaves behind is adopted and reaped: no zombie stays while init lives."""
    program = (
        "import os, time, pathlib\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        f"        pathlib.Path('{tmp_path}/orphan').write_text(str(os.getpid()))\n"
        "        time.sleep(0.2)\n"
        "    os._exit(0)\n"
        "time.sleep(60)\n"
    )
    orphan = Component("orphan", (sys.executable, "-c", program), Check(socket=f"{tmp_path}/none"))
    with running(tmp_path, orphan):
        path = tmp_path / "orphan"
        pid = int(until(lambda: path.exists() and path.read_text()))
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """A component that never stops talking fills two files and not the disk."""
    talking = Component(
        "talking",
        (sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 9999 + '\\n')"),
        Check(socket=f"{tmp_path}/none"),
    )
    with running(tmp_path, talking) as layout:
        log = layout.logs / "talking.log"
        rotated = layout.logs / "talking.log.1"
        until(rotated.exists)
        until(lambda: log.stat().st_size < LOG_BYTES)


def test_init_ends_by_itself_when_its_starter_goes_away(tmp_path: Path) -> None:
    """Whoever starts it makes the network first; if that fails there is nothing to clean up."""
    state = tmp_path / "state"
    (state / "logs").mkdir(parents=True)
    (state / "plan.json").write_text("{}")
    child = subprocess.run(
        [sys.executable, "-m", "wtsctl.sandbox.init", str(state)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    assert child.stdout.strip().isdecimal()
    assert not (state / "status.json").exists()


def test_a_lock_means_that_init_lives(tmp_path: Path) -> None:
    """After a reboot the files are there and no process is: the lock tells, where a process number could not."""
    layout = Layout("test", tmp_path, tmp_path)
    assert not launch.running(layout)
    with layout.init_lock.open("w") as handle:
        assert not launch.running(layout)
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert launch.running(layout)
    assert not launch.running(layout)


def test_an_init_that_says_nothing_is_stopped_too(tmp_path: Path) -> None:
    """One that hangs before it has written a report is found by its lock."""
    layout = Layout("test", tmp_path, tmp_path)
    program = (
        "import fcntl, sys, time\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(layout.init_lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        launch.stop(layout)
        assert child.wait(timeout=5) == -signal.SIGTERM
    assert not launch.running(layout)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_report_is_none(tmp_path: Path, text: str) -> None:
    """A report that was cut off by a power cut says nothing, and is no error."""
    layout = Layout("test", tmp_path, tmp_path)
    layout.report.write_text(text)
    assert launch.report(layout) is None


def test_backoff_doubles_up_to_a_bound() -> None:
    """A component that dies at once is not started a thousand times a second."""
    waits = [backoff(failures) for failures in range(1, 12)]
    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]
    assert waits == sorted(waits)
    assert waits[-1] == backoff(10_000) == BACKOFF_LONGEST
