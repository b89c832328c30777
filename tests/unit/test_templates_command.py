"""`wtsctl templates`: what is listed, shown and copied, and the warning about copies that grew old."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wtsctl import __version__
from wtsctl.cli import app
from wtsctl.commands.inputs import read_templates
from wtsctl.render.templates import about

ROOT = Path(__file__).resolve().parents[2]
NAME = "vllm/service.yaml.j2"

Run = Callable[..., Result]


@pytest.fixture
def wtsctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_every_template_is_listed_with_what_it_is_for(wtsctl: Run) -> None:
    """The table and the JSON have each built-in template, and none is without its line."""
    builtin = read_templates(None)
    listed = json.loads(wtsctl("templates", "list", "-o", "json").stdout)["data"]["templates"]
    assert {one["name"]: one["for"] for one in listed} == {name: about(text) for name, text in builtin.items()}
    assert all(one["for"] for one in listed)
    table = wtsctl("templates", "list").stdout.splitlines()
    assert table[0].split() == ["TEMPLATE", "FOR"]
    assert [line.split()[0] for line in table[1:]] == list(builtin)
    assert [line for line in table if line != line.rstrip()] == []


@pytest.mark.parametrize("name", [NAME, "vllm/service", "vllm/serv*"])
def test_a_template_is_shown_as_it_is(wtsctl: Run, name: str) -> None:
    """Whatever way it is named, stdout is the file's text to the byte."""
    assert wtsctl("templates", "show", name).stdout == (ROOT / "templates" / NAME).read_text()


def test_a_copy_renders_as_the_original_does(wtsctl: Run) -> None:
    """All templates, copied and used as an overlay, change nothing and warn of nothing."""
    assert wtsctl("templates", "eject", "--all", "--output-dir", "mine").exit_code == 0
    catalog = ["-f", str(ROOT / "models.yaml")]
    plain, copied = wtsctl("render", *catalog), wtsctl("render", *catalog, "--templates", "mine")
    assert copied.exit_code == 0, copied.stderr
    assert copied.stdout == plain.stdout
    assert "warning" not in copied.stderr


def test_a_copy_never_overwrites_unless_told_to(wtsctl: Run, tmp_path: Path) -> None:
    """Where one file is there already, none is written; with --force all are."""
    assert wtsctl("templates", "eject", NAME, "--output-dir", "mine").stdout == f"mine/{NAME}\n"
    mine = tmp_path / "mine" / NAME
    mine.write_text("changed")
    refused = wtsctl("templates", "eject", "vllm/*", "--output-dir", "mine")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert f"mine/{NAME} is there already" in refused.stderr
    assert mine.read_text() == "changed"
    assert [path.name for path in (tmp_path / "mine/vllm").iterdir()] == ["service.yaml.j2"]
    assert wtsctl("templates", "eject", "vllm/*", "--output-dir", "mine", "--force").exit_code == 0
    assert about(mine.read_text()).startswith(f"Copied from wtsctl {__version__}: {NAME}, sha256 ")
    assert (tmp_path / "mine/vllm/deployment.yaml.j2").exists()


def test_an_old_copy_is_warned_of_and_still_used(wtsctl: Run, tmp_path: Path) -> None:
    """A copy of another text than today's is named with its version; a file without a first line of ours is not."""
    wtsctl("templates", "eject", NAME, "vllm/deployment", "--output-dir", "mine")
    mine = tmp_path / "mine" / NAME
    head, _, text = mine.read_text().partition("\n")
    mine.write_text(
        f"{head.replace(f'wtsctl {__version__}', 'wtsctl 0.0.1').replace('sha256 ', 'sha256 0')[:-5]}. #}}\n{text}"
    )
    catalog = ["-f", str(ROOT / "models.yaml"), "watt-8b", "--templates", "mine"]
    rendered = wtsctl("render", "--quiet", *catalog)
    assert rendered.exit_code == 0
    (line,) = rendered.stderr.splitlines()
    assert line.startswith(f"warning: mine/{NAME}: copied from wtsctl 0.0.1, and the template has changed since")
    mine.write_text(text)
    assert wtsctl("render", "--quiet", *catalog).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["show", "vllm/servce"], 9, "did you mean vllm/service.yaml.j2?"),
        (["show", "nothing/at-all"], 9, "`wtsctl templates list` lists them"),
        (["eject", "--output-dir", "mine"], 2, "name the templates to copy, or --all"),
        (["eject", NAME, "--all", "--output-dir", "mine"], 2, "name the templates to copy, or --all"),
        (["eject", NAME, "none/*", "--output-dir", "mine"], 9, "there is no built-in template 'none/*'"),
        (["eject", NAME], 2, "--output-dir"),
    ],
)
def test_what_names_no_template_is_refused(
    wtsctl: Run, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    """A wrong name or a contradiction is an error with what to do, and writes nothing."""
    done = wtsctl("templates", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert text in done.stderr
    assert not list(tmp_path.iterdir())
