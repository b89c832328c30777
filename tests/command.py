"""The real wtsctl in a process of its own, its JSON read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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
