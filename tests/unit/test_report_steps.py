"""How long work is shown where there is no screen, and on one."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from wtsctl.report.steps import Steps
from wtsctl.report.terminal import Terminal


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds, monotonic."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at some time."""
    return Clock()


def test_without_a_screen_a_step_is_two_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """One when it begins and one when it ends, with its time; what happens between is not a line each."""
    shown = Steps(Terminal(), None, clock)
    shown("starting", doing="compile")
    for count in range(1000):
        shown(f"{count} packages", doing="compile")
    clock.now += 12.34
    shown("", doing="compile")
    shown("a line to keep")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["compile", "compile: done in 12.3 s", "a line to keep"]
    assert captured.out == ""


def test_without_a_screen_a_long_step_says_so_every_thirty_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a CI log shows that it goes on, and how far it is."""
    shown = Steps(Terminal(), None, clock)
    shown("1 of 2 packages", doing="compile")
    for _ in range(65):
        clock.now += 1
        shown.tick()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["compile", "compile: 1 of 2 packages (30s)", "compile: 1 of 2 packages (60s)"]


def test_quiet_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """`--quiet` drops progress; errors are not written here."""
    shown = Steps(Terminal(quiet=True), None, clock)
    shown("starting", doing="compile")
    shown("", doing="compile")
    shown("kept")
    assert capsys.readouterr().err == ""


def test_a_step_that_never_began_cannot_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """An end without a beginning is no line about nothing."""
    Steps(Terminal(), None, clock)("", doing="compile")
    assert capsys.readouterr().err == ""


def test_control_characters_of_a_compiler_are_written_out(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """What another program says cannot command the terminal."""
    shown = Steps(Terminal(), None, clock)
    shown("a\x1b[31mred", doing="compile")
    clock.now += 30
    shown.tick()
    assert "\x1b" not in capsys.readouterr().err


PROGRAM = """
import time
from wtsctl.report.steps import steps
from wtsctl.report.terminal import Terminal
with steps(Terminal()) as shown:
    shown("1 package", doing="compile")
    shown("kept")
    shown("2 packages", doing="compile")
    time.sleep(1.3)
    shown("", doing="compile")
"""


def test_on_a_screen_a_step_is_one_line_that_changes() -> None:
    """With a real pseudo-terminal: the line is redrawn with its time, and its end stays."""
    ours, theirs = pty.openpty()
    environment = dict(os.environ, TERM="xterm", COLUMNS="80")
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=theirs, env=environment) as child:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            written += part
        assert child.wait() == 0
    os.close(ours)
    text = written.decode()
    assert "compile: 1 package (0s)" in text
    assert "compile: 2 packages (1s)" in text
    assert re.search(r"\r", text), "a line is drawn over, not written below"
    # What is left on each line of the screen is what was written last on it.
    screen = [line.rstrip("\r").rpartition("\r")[2] for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).split("\n")]
    assert "kept" in screen
    assert any(re.fullmatch(r"compile: done in 1\.\d s", line) for line in screen)
