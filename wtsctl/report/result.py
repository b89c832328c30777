"""What a command ends in, and the one place that turns it into text or JSON and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from wtsctl.errors import ExitCode, Problem, WtsctlError
from wtsctl.report.terminal import Terminal
from wtsctl.streams import READER_GONE, discard

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
    result: Result | None = None
    exit_code = ExitCode.OK
    problems: tuple[Problem, ...] = ()
    try:
        result = body(terminal)
        exit_code, problems = result.exit_code, result.problems
    except WtsctlError as error:
        exit_code, problems = error.exit_code, error.problems
    except KeyboardInterrupt:
        exit_code, problems = ExitCode.INTERRUPTED, (Problem("interrupted", "interrupted"),)
    except Exception as error:  # noqa: BLE001 - what nobody expected is told as such
        exit_code, problems = ExitCode.INTERNAL, (_defect(error),)
    try:
        if as_json:
            terminal.write(envelope(command, exit_code, result.data if result else None, problems))
        elif result:
            result.show(terminal)
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        raise SystemExit(READER_GONE) from None
    except OSError as error:
        discard(sys.stdout)
        lost = Problem("output", f"cannot write to standard output: {error.strerror or error}")
        exit_code, problems = exit_code or ExitCode.INTERNAL, (*problems, lost)
    except Exception as error:  # noqa: BLE001 - what nobody expected is told as such
        exit_code, problems = ExitCode.INTERNAL, (*problems, _defect(error))
    for problem in problems:
        terminal.warn(f"error: {problem}")
    raise SystemExit(int(exit_code))


def _defect(error: Exception) -> Problem:
    """What is said of an exception that nobody expected; its traceback is shown where WTSCTL_DEBUG is set."""
    if os.environ.get("WTSCTL_DEBUG"):
        traceback.print_exception(error)
    message = f"internal error: {type(error).__name__}: {error}"
    return Problem("internal", message, hint="this is a defect in wtsctl; WTSCTL_DEBUG=1 shows the traceback")
