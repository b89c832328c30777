"""The catalog as a file: what cannot be read, standard input, and what the command line makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.catalogs import SMALL, STACK, changed
from wtsctl.catalog import load
from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.errors import CatalogError, ExitCode, UsageError
from wtsctl.render import templates

ROOT = Path(__file__).resolve().parents[2]
BROKEN = changed(("maxModelLen: 8192", "maxModelLen: two"), ("role: chat", "role: chatt"))


def wtsctl(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "wtsctl", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd=cwd)


@contextmanager
def as_another_user() -> Iterator[None]:
    """Root may open anything, so root looks at files as another user; what that one could not import is there."""
    assert load
    assert templates
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(was)


def unreadable(file: Path) -> str:
    """What is said about a file that cannot be read."""
    with pytest.raises(CatalogError) as caught:
        read_catalog(file, None)
    assert [problem.code for problem in caught.value.problems] == ["catalog.file"]
    return str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    """A missing file is named, with what to do."""
    file = tmp_path / "models.yaml"
    assert (
        unreadable(file) == f"{file}: no such file\n  hint: name the catalog with --file, or run where models.yaml lies"
    )


def test_a_folder(tmp_path: Path) -> None:
    """A folder is no file, and the hint names the file that may be meant."""
    assert unreadable(tmp_path) == (
        f"{tmp_path}: a folder, not a file\n  hint: name the file in it: --file {tmp_path}/models.yaml"
    )


def test_not_utf8(tmp_path: Path) -> None:
    """A byte that is no UTF-8 is shown with its line."""
    file = tmp_path / "models.yaml"
    file.write_bytes(b"apiVersion: wtsctl/v1\nname: caf\xe9\n")
    assert unreadable(file) == f"{file}:2: not UTF-8: byte 0xe9\n  hint: save the file as UTF-8; is it a text file?"


def test_no_permission(tmp_path: Path) -> None:
    """A file that the user may not open is said to be that."""
    file = tmp_path / "models.yaml"
    file.write_text(SMALL)
    file.chmod(0)
    with as_another_user():
        message = unreadable(file)
    assert message == f"{file}: may not be read\n  hint: check the permissions of the file and its folder"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc/self/mem, which fails when read")
def test_a_read_that_fails() -> None:
    """Whatever else the system says is passed on in its own words."""
    assert unreadable(Path("/proc/self/mem")) == "/proc/self/mem: cannot be read: Input/output error"


def test_render_of_a_wrong_catalog_ends_with_3(tmp_path: Path) -> None:
    """All problems go to stderr, each marked as an error; stdout stays empty; the exit code is 3."""
    (tmp_path / "models.yaml").write_text(BROKEN)
    done = wtsctl("render", cwd=tmp_path)
    assert done.returncode == ExitCode.CATALOG
    assert done.stdout == ""
    assert done.stderr == (
        "error: models.yaml:12:16: models[0].maxModelLen: expected an integer, got 'two'\n"
        "error: models.yaml:19:9: models[1].role: expected chat, code, docs or safety, got 'chatt'\n"
        "  hint: did you mean chat?\n"
    )


def test_render_of_a_wrong_catalog_as_json(tmp_path: Path) -> None:
    """With `-o json` the same problems are the envelope's errors, and the exit code is the same."""
    (tmp_path / "models.yaml").write_text(BROKEN)
    done = wtsctl("render", "-o", "json", cwd=tmp_path)
    assert done.returncode == ExitCode.CATALOG
    assert json.loads(done.stdout) == {
        "version": "wtsctl/v1",
        "command": "render",
        "status": "failed",
        "exitCode": 3,
        "data": None,
        "errors": [
            {
                "code": "catalog.type",
                "message": "models[0].maxModelLen: expected an integer, got 'two'",
                "where": "models.yaml:12:16",
                "hint": "",
            },
            {
                "code": "catalog.value",
                "message": "models[1].role: expected chat, code, docs or safety, got 'chatt'",
                "where": "models.yaml:19:9",
                "hint": "did you mean chat?",
            },
        ],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "error: models.yaml: the file is empty\n"),
        ("a: [1", "error: models.yaml:1:6: not valid YAML: "),
        (
            SMALL.replace("llama-3b", "granite"),
            "error: models.yaml:16:9: models[1].name: 'granite' is already an alias",
        ),
        (SMALL.replace("cpu: 4", "cpu: four"), "error: models.yaml:13:31: models[0].resources.requests.cpu: expected"),
        (SMALL.replace("role: code", "rolle: code"), "error: models.yaml:11:3: models[0] (granite-8b): unknown key"),
        (SMALL + STACK.replace("k: granite-8b", "k: x"), "error: models.yaml:41:13: agents[0].fallback: no model is"),
    ],
    ids=["empty", "not YAML", "duplicate name", "bad quantity", "unknown key", "agent names no model"],
)
def test_bad_input_never_shows_a_traceback(text: str, expected: str, tmp_path: Path) -> None:
    """Each bad catalog of the command line's contract gives its message, exit code 3 and no traceback."""
    (tmp_path / "models.yaml").write_text(text)
    done = wtsctl("render", cwd=tmp_path)
    assert done.returncode == ExitCode.CATALOG
    assert done.stderr.startswith(expected)
    assert "Traceback" not in done.stderr


def test_standard_input() -> None:
    """`-f -` reads the catalog from standard input, and positions name it."""
    assert wtsctl("render", "-f", "-", stdin=SMALL).returncode == ExitCode.OK
    done = wtsctl("render", "-f", "-", stdin=BROKEN)
    assert done.returncode == ExitCode.CATALOG
    assert done.stderr.startswith("error: <stdin>:12:16: models[0].maxModelLen: expected an integer")


def test_a_model_that_is_not_there_ends_with_9(tmp_path: Path) -> None:
    """A name that selects nothing is no success."""
    (tmp_path / "models.yaml").write_text(SMALL)
    done = wtsctl("render", "lama-3b", cwd=tmp_path)
    assert done.returncode == ExitCode.NO_MATCH
    assert done.stderr == "error: no model is called 'lama-3b'\n  hint: did you mean llama-3b?\n"


def test_an_unknown_profile_ends_with_3(tmp_path: Path) -> None:
    """A profile that is not there is a mistake of the catalog or of its name."""
    (tmp_path / "models.yaml").write_text(f"{SMALL}profiles: {{sandbox: }}\n")
    done = wtsctl("render", "--profile", "sandbx", cwd=tmp_path)
    assert done.returncode == ExitCode.CATALOG
    assert done.stderr == "error: models.yaml:28:1: profiles: no profile 'sandbx'\n  hint: did you mean sandbox?\n"


def test_schema_prints_the_committed_file() -> None:
    """`wtsctl schema` is docs/reference/models.schema.json, byte for byte."""
    done = wtsctl("schema")
    assert done.returncode == ExitCode.OK
    assert done.stdout == (ROOT / "docs/reference/models.schema.json").read_text()
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["-f", "/dev/zero"], ["-f", "-"]], ids=["device", "standard input"])
def test_a_file_without_end(arguments: list[str]) -> None:
    """What has no end is read no further than a catalog can go, rather than until the memory is full."""
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-m", "wtsctl", "render", *arguments],
            stdin=endless, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == ExitCode.CATALOG
    assert ": larger than 32,000,000 bytes, which no catalog is\n" in done.stderr


def test_templates_behind_a_link(tmp_path: Path) -> None:
    """A folder of templates may be a link, as a mounted ConfigMap is; one that leads back to itself ends."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/service.yaml.j2").write_text("# mine\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own/vllm").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "own")
    assert read_templates(tmp_path / "own")["vllm/service.yaml.j2"] == "# mine\n"


def test_templates_that_cannot_be_listed(tmp_path: Path) -> None:
    """A folder that may not be read is an error: its templates must not be left out in silence."""
    tmp_path.chmod(0)
    with as_another_user(), pytest.raises(UsageError, match=f"--templates: {tmp_path}: Permission denied"):
        read_templates(tmp_path)
    with pytest.raises(UsageError, match="File name too long"):
        read_templates(Path("x" * 300))
