"""What a command ends in, and the one place that turns it into text or JSON and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from wtsctl.errors import ExitCode, Problem, WtsctlError
from wtsctl.report.terminal import Terminal

ENVELOPE_VERSION = "wtsctl/v1"


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a command.

    Attributes:
        data: JSON-able; what `-o json` shows under `data`. Keys are camelCase, times are in seconds.
        show: writes the same for a person, on stdout.
        exit_code: the process's exit code, the same for every output.
        problems: what went wrong without ending the command early.
    """

    data: Mapping[str, Any]
    show: Callable[[Terminal], None]
    exit_code: ExitCode = ExitCode.OK
    problems: tuple[Problem, ...] = field(default=())


def envelope(command: str, exit_code: ExitCode, data: Mapping[str, Any] | None, problems: tuple[Problem, ...]) -> str:
    """The JSON document of `-o json`: `{version, command, status, exitCode, data, errors}`."""
    document = {
        "version": ENVELOPE_VERSION,
        "command": command,
        "status": "ok" if exit_code is ExitCode.OK else "failed",
        "exitCode": int(exit_code),
        "data": data,
        "errors": [problem.as_dict() for problem in problems],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def finish(command: str, terminal: Terminal, body: Callable[[Terminal], Result], *, as_json: bool) -> NoReturn:
    """Run a command's body, write what it ended in, and end the process with its exit code.

    Whatever ends the command, an error of ours, Ctrl-C or a defect, becomes a message on stderr, and with
    `as_json` the envelope on stdout as well: a script that reads JSON always gets one document.
    """
    data: Mapping[str, Any] | None = None
    try:
        result = body(terminal)
        exit_code, problems, data = result.exit_code, result.problems, result.data
        if not as_json:
            result.show(terminal)
    except WtsctlError as error:
        exit_code, problems = error.exit_code, error.problems
    except KeyboardInterrupt:
        exit_code, problems = ExitCode.INTERRUPTED, (Problem("interrupted", "interrupted"),)
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("WTSCTL_DEBUG"):
            raise
        message = f"internal error: {type(error).__name__}: {error}"
        hint = "this is a defect in wtsctl; run again with WTSCTL_DEBUG=1 for the traceback"
        exit_code, problems = ExitCode.INTERNAL, (Problem("internal", message, hint=hint),)
    for problem in problems:
        terminal.warn(f"error: {problem}")
    if as_json:
        terminal.write(envelope(command, exit_code, data, problems))
    sys.stdout.flush()
    raise SystemExit(int(exit_code))
