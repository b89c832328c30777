"""What wtsctl does when nobody reads it, when nothing can be written, and in whatever locale it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.catalogs import changed
from wtsctl.errors import ExitCode, WtsctlError
from wtsctl.report.result import Result, finish
from wtsctl.report.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
# Quiet: what it leaves out it would say on stderr.
RENDER = ["render", "-q", "-f", str(ROOT / "models.yaml")]
# A command whose result is a table of rich, which has ways of its own with streams.
TABLE = """
from wtsctl.report.result import Result, finish
from wtsctl.report.terminal import Terminal
from wtsctl.streams import repair
repair()
finish("table", Terminal(), lambda _: Result(data={}, show=lambda shown: shown.print("a table")), as_json=False)
"""
WRITERS = {
    "render": ["-m", "wtsctl", *RENDER],
    "json": ["-m", "wtsctl", *RENDER, "-o", "json"],
    "failed json": ["-m", "wtsctl", "render", "-f", "missing.yaml", "-o", "json"],
    "help": ["-m", "wtsctl", "--help"],
    "version": ["-m", "wtsctl", "--version"],
    "table": ["-c", TABLE],
}
writers = pytest.mark.parametrize("arguments", WRITERS.values(), ids=WRITERS.keys())


def run(arguments: list[str], redirect: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Python with its streams redirected by a shell, as users do it."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


@writers
def test_reader_that_went_away(arguments: list[str]) -> None:
    """`wtsctl … | head -1` ends with the code of SIGPIPE and not a word, whatever was being written."""
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([sys.executable, *arguments], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, said = process.communicate()
    assert (process.returncode, said) == (141, b"")


@writers
@pytest.mark.parametrize(
    ("redirect", "reason"), [(">/dev/full", b"No space left on device"), (">&-", b"Bad file descriptor")]
)
def test_output_that_cannot_be_written(arguments: list[str], redirect: str, reason: bytes) -> None:
    """A full disk or a closed stdout is one message and a failure: a truncated file must not pass for a whole one."""
    done = run(arguments, redirect)
    assert b"error: cannot write to standard output: " + reason + b"\n" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.returncode == (ExitCode.CATALOG if "missing.yaml" in arguments else ExitCode.INTERNAL)


@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-"])
def test_messages_that_cannot_be_written(redirect: str) -> None:
    """Without stderr the data and the exit code are the same."""
    assert run(WRITERS["render"], redirect).stdout == run(WRITERS["render"], "").stdout
    done = run(WRITERS["failed json"], redirect)
    assert (done.returncode, json.loads(done.stdout)["exitCode"]) == (ExitCode.CATALOG, ExitCode.CATALOG)


def test_standard_input_that_is_closed() -> None:
    """`-f -` without a stdin is an empty catalog, not a defect."""
    done = run(["-m", "wtsctl", "render", "-f", "-"], "<&-")
    assert (done.returncode, done.stdout) == (ExitCode.CATALOG, b"")
    assert done.stderr.startswith(b"error: <stdin>: the file is empty\n")


def test_output_is_utf8_in_every_locale(tmp_path: Path) -> None:
    """YAML and JSON are UTF-8; the locale of a cron job must not make them something else, or fail."""
    file = tmp_path / "models.yaml"
    file.write_text(changed(("maxModelLen: 8192", "maxModelLen: 8192\n  args: [--né]")), encoding="utf-8")
    for output in ("table", "json"):
        arguments = ["-m", "wtsctl", "render", "-q", "-f", str(file), "-o", output]
        done = run(arguments, "", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, b"")
        assert "--né" in done.stdout.decode()


def test_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    """A name in another encoding is shown with escapes, and the JSON that holds it can be read."""
    done = run(["-m", "wtsctl", "render", "-o", "json", "-f", f"{tmp_path}/\udcff.yaml"], "")
    (error,) = json.loads(done.stdout)["errors"]
    assert error["where"] == f"{tmp_path}/\udcff.yaml"
    assert done.stderr.startswith(f"error: {tmp_path}/\\udcff.yaml: no such file\n".encode())


def test_names_given_send_no_escape_sequence() -> None:
    """What an argument holds reaches the terminal as text: no control character goes to stderr."""
    for arguments in (["render", "-f", "\x1b[31mx"], [*RENDER, "\x1b[31mx"], [*RENDER, "--profile", "\x1b[31mx"]):
        done = run(["-m", "wtsctl", *arguments], "")
        assert b"\\x1b[31mx" in done.stderr
        assert b"\x1b" not in done.stderr


def test_defect_under_debug_is_still_one_document(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """WTSCTL_DEBUG adds the traceback on stderr; stdout holds the envelope, as it does without."""

    def defect(_: Terminal) -> Result:
        return Result(data={"value": 1 // 0}, show=lambda _: None)

    shown = {}
    for debug in ("", "1"):
        monkeypatch.setenv("WTSCTL_DEBUG", debug)
        with pytest.raises(SystemExit) as end:
            finish("broken", Terminal(), defect, as_json=True)
        assert end.value.code == ExitCode.INTERNAL
        shown[debug], said = capfd.readouterr()
        assert ("Traceback" in said, "internal error: ZeroDivisionError" in said) == (bool(debug), True)
    assert shown[""] == shown["1"]
    assert json.loads(shown["1"])["exitCode"] == 1


def test_defect_while_the_result_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """A result that cannot be shown is a defect, too, and what it had to say is not lost."""

    def failing(_: Terminal) -> None:
        raise ZeroDivisionError

    problems = WtsctlError("the pod is gone").problems
    body = lambda _: Result(data={}, show=failing, exit_code=ExitCode.NOT_READY, problems=problems)  # noqa: E731
    with pytest.raises(SystemExit) as end:
        finish("broken", Terminal(), body, as_json=False)
    said = capfd.readouterr().err
    assert end.value.code == ExitCode.INTERNAL
    assert said.startswith("error: the pod is gone\nerror: internal error: ZeroDivisionError")
