"""The real wtsctl in a process of its own, its JSON read."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run ended in."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def envelope(self) -> dict[str, Any]:
        """The document of `-o json`."""
        document: dict[str, Any] = json.loads(self.stdout)
        assert document["exitCode"] == self.code
        return document

    @property
    def data(self) -> dict[str, Any]:
        """The envelope's data."""
        data: dict[str, Any] = self.envelope["data"]
        return data

    @property
    def errors(self) -> list[dict[str, str]]:
        """The envelope's errors."""
        errors: list[dict[str, str]] = self.envelope["errors"]
        return errors

    @property
    def why(self) -> str:
        """What a test that expected another exit code of `-o json` shows: the errors, and what holds back a model."""
        held = [one for one in self.data.get("models", ()) if not one.get("ready")]
        keys = ("name", "phase", "reason", "message", "events", "log")
        lines = [*self.errors, *({key: one.get(key) for key in keys} for one in held)]
        return f"exit code {self.code} after {self.seconds:.0f} s\n" + "\n".join(map(str, lines)) + f"\n{self.stderr}"

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcome by identity, of deploy and delete."""
        return {one["identity"]: one["outcome"] for one in self.data["objects"]}


@dataclass(frozen=True, slots=True)
class Wtsctl:
    """The command with a catalog and a kubeconfig."""

    catalog: Path
    kubeconfig: Path

    def arguments(self, *given: str) -> list[str]:
        """The whole command line."""
        options = ["--file", str(self.catalog), "--kubeconfig", str(self.kubeconfig)]
        return [sys.executable, "-m", "wtsctl", *given, *options]

    def __call__(self, *given: str, timeout: float = 120) -> Ran:
        """Run to the end, without a terminal."""
        began = time.monotonic()
        done = subprocess.run(
            self.arguments(*given),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def json(self, *given: str, timeout: float = 120) -> Ran:
        """Run with `-o json`."""
        return self(*given, "-o", "json", timeout=timeout)

    def interrupted(self, *given: str, when: str, timeout: float = 60) -> Ran:
        """Run with `-o json` and send it Ctrl-C's signal once `when` stands on its stderr."""
        began = time.monotonic()
        with subprocess.Popen(
            [*self.arguments(*given), "-o", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment(),
        ) as process:
            assert process.stderr is not None
            seen = ""
            for line in process.stderr:
                seen += line
                if when in line:
                    process.send_signal(signal.SIGINT)
                    break
            stdout, rest = process.communicate(timeout=timeout)
        return Ran(process.returncode, stdout, seen + rest, time.monotonic() - began)


def environment() -> dict[str, str]:
    """Ours, without what would choose a profile, a cluster or a proxy for the command."""
    dropped = {"KUBECONFIG", "WTSCTL_PROFILE", "WTSCTL_DEBUG", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def on_a_screen(
    command: list[str],
    *,
    until: bytes,
    keys: bytes = b"",
    meanwhile: Callable[[], object] = lambda: None,
    seconds: float = 90,
) -> tuple[int, str]:
    """Run on a terminal of 100 columns; exit code and everything shown.

    Args:
        command: the command line.
        until: once this was seen, `meanwhile` is called and `keys` are pressed.
        keys: what to press; empty: nothing is.
        meanwhile: what happens before that.
        seconds: how long to read at most.
    """
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
        env=environment() | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        # Its controlling terminal, so that Ctrl-C reaches it as a signal.
        preexec_fn=_take_terminal,  # noqa: PLW1509
    ) as process:
        os.close(secondary)
        shown, pressed, deadline = b"", not keys, time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([primary], [], [], 0.2)[0]:
                try:
                    shown += os.read(primary, 65536)
                except OSError:
                    break
            if not pressed and until in shown:
                meanwhile()
                os.write(primary, keys)
                pressed = True
        os.close(primary)
        return process.wait(timeout=10), shown.decode()


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
