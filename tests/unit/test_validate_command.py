"""`wtsctl validate`: exit codes, what stands on stdout in each form, what is accepted from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from tests.catalogs import changed, loaded
from tests.findings.base import CLEAN, ROOT
from wtsctl.cli import app
from wtsctl.commands.inputs import read_templates
from wtsctl.plan.findings.check import check, problems
from wtsctl.plan.findings.registry import RULES
from wtsctl.plan.findings.rule import Finding, Severity, Suppression
from wtsctl.render.manifest import render
from wtsctl.report.github import workflow_commands
from wtsctl.report.sarif import sarif

Run = Callable[..., Result]

WARNING = changed(("vllm-openai:v0.33.0", "vllm-openai:latest"), text=CLEAN)
ERROR = changed(("{tensor: 4}", "{tensor: 3}"), text=CLEAN)
INFO = changed(("max: 2s", "stat: p99, max: 2s"), text=CLEAN)
# The JSON Schema that OASIS publishes: github.com/oasis-tcs/sarif-spec, sarif-2.1/schema.
SARIF_SCHEMA = json.loads((ROOT / "tests/findings/sarif-schema-2.1.0.json").read_text())


@pytest.fixture
def validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on a catalog in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str) -> Result:
        (tmp_path / "models.yaml").write_text(text)
        return CliRunner().invoke(app, ["validate", *arguments])

    return run


def test_nothing_found(validate: Run) -> None:
    """Stdout stays empty, stderr says that nothing was found, and --quiet says nothing at all."""
    done = validate(CLEAN)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing found\n")
    done = validate(CLEAN, "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_lines_for_people(validate: Run) -> None:
    """Each finding is a line that editors can follow, with its hint below; the sum is on stderr."""
    done = validate(WARNING)
    assert done.stdout == (
        "models.yaml:5:18: warning WTS001 defaults.images.vllm: "
        "the image vllm/vllm-openai:latest has the tag 'latest', which moves\n"
        "  hint: Name a version (`vllm/vllm-openai:v0.33.0`), or better the digest (`...@sha256:...`).\n"
    )
    assert done.stderr == "1 warning\n"


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (INFO, (), 0),
        (INFO, ("--strict",), 0),
        (WARNING, (), 0),
        (WARNING, ("--strict",), 3),
        (WARNING, ("--strict", "--ignore", "WTS001"), 0),
        (ERROR, (), 3),
        (ERROR, ("--ignore", "WTS001,wts103"), 0),
        (ERROR.replace("{tensor: 3}", "{tensor: 3}  # wtsctl: ignore WTS103 - on purpose"), (), 0),
        ("name: x\n", (), 3),
        (ERROR, ("-o", "json"), 3),
        (ERROR, ("-o", "sarif"), 3),
        (ERROR, ("-o", "github"), 3),
    ],
)
def test_exit_codes(validate: Run, text: str, arguments: tuple[str, ...], code: int) -> None:
    """Only errors end with 3, with --strict warnings too; what is accepted does not count; the same for every form."""
    assert validate(text, *arguments).exit_code == code


def test_unknown_code_to_ignore(validate: Run) -> None:
    """A misspelt code on the command line is an error of usage, before anything is read."""
    done = validate(CLEAN, "--ignore", "WTS0001")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: --ignore: there is no finding 'WTS0001'\n  hint: did you mean WTS001?\n"


def test_json(validate: Run) -> None:
    """`-o json` has what counts, what was accepted and by whom, and the sums."""
    shown = json.loads(
        validate(WARNING.replace("{tensor: 4}", "{tensor: 3}  # wtsctl: ignore WTS103 - try"), "-o", "json").stdout
    )
    assert (shown["command"], shown["status"], shown["exitCode"], shown["errors"]) == ("validate", "ok", 0, [])
    found, accepted = shown["data"]["findings"], shown["data"]["suppressed"]
    assert found == [
        {
            "code": "WTS001",
            "severity": "warning",
            "title": "Image without a fixed version",
            "message": "the image vllm/vllm-openai:latest has the tag 'latest', which moves",
            "hint": "Name a version (`vllm/vllm-openai:v0.33.0`), or better the digest (`...@sha256:...`).",
            "file": "models.yaml",
            "line": 5,
            "column": 18,
            "path": "defaults.images.vllm",
            "object": "llm/Deployment/llama-70b",
            "docs": "docs/reference/findings.md#wts001",
        }
    ]
    assert [(one["code"], one["suppressedBy"]) for one in accepted] == [("WTS103", {"line": 16, "reason": "try"})]
    assert shown["data"]["summary"] == {"error": 0, "warning": 1, "info": 0}


def test_refused_catalog_has_the_same_forms(validate: Run) -> None:
    """What the loader refuses is found like anything else, in every form, with the loader's codes."""
    text = CLEAN.replace("tensor: 4", "tensor: four")
    done = validate(text)
    where = "models.yaml:16:22"
    assert done.stdout.startswith(f"{where}: error catalog.type models[0].parallel.tensor: expected an integer")
    (one,) = json.loads(validate(text, "-o", "json").stdout)["data"]["findings"]
    assert (one["code"], one["line"], one["column"]) == ("catalog.type", 16, 22)
    assert validate(text, "-o", "github").stdout.startswith(
        "::error file=models.yaml,line=16,col=22,title=catalog.type::"
    )
    log = json.loads(validate(text, "-o", "sarif").stdout)
    jsonschema.validate(log, SARIF_SCHEMA)
    assert log["runs"][0]["results"][0]["ruleId"] == "catalog.type"
    done = validate("", "-f", "missing.yaml")
    assert done.exit_code == 3
    assert done.stdout == (
        "missing.yaml: error catalog.file no such file\n"
        "  hint: name the catalog with --file, or run where models.yaml lies\n"
    )


def test_refused_template_has_the_same_forms(validate: Run, tmp_path: Path) -> None:
    """A template of the user's that does not render stands where its line is."""
    (tmp_path / "own" / "vllm").mkdir(parents=True)
    (tmp_path / "own" / "vllm" / "service.yaml.j2").write_text("a: 1\nb: {{ nothing.there }}\n")
    done = validate(CLEAN, "--templates", "own")
    assert done.exit_code == 3
    assert done.stdout.startswith("own/vllm/service.yaml.j2:2: error template ")


def test_overlay_is_looked_through(validate: Run, tmp_path: Path) -> None:
    """What a template of the user's leaves out is found at the models that are rendered with it."""
    (tmp_path / "own" / "vllm").mkdir(parents=True)
    built_in = read_templates(None)["vllm/deployment.yaml.j2"]
    assert "enableServiceLinks: false" in built_in
    (tmp_path / "own/vllm/deployment.yaml.j2").write_text(
        built_in.replace("enableServiceLinks: false", "hostIPC: false")
    )
    data = json.loads(validate(CLEAN, "--templates", "own", "-o", "json").stdout)["data"]
    assert [(one["code"], one["path"], one["object"]) for one in data["findings"]] == [
        ("WTS402", "models[0]", "llm/Deployment/llama-70b"),
        ("WTS402", "models[2]", "llm/Deployment/llama-guard"),
    ]


def test_catalog_from_stdin() -> None:
    """`-f -` reads standard input, and says so in positions."""
    done = CliRunner().invoke(app, ["validate", "-f", "-"], input=WARNING)
    assert done.stdout.startswith("<stdin>:5:18: warning WTS001 ")


def test_secret_is_not_repeated(validate: Run) -> None:
    """The secret that WTS002 finds stands in no form of the output."""
    secret = "hf_" + "q7X" * 12
    for output in ("table", "json", "sarif", "github"):
        done = validate(changed(("Say hello.", secret), text=CLEAN), "-o", output)
        assert "WTS002" in done.stdout
        assert secret not in done.output


@pytest.mark.parametrize("profile", [None, "sandbox"])
def test_own_catalog_is_clean(profile: str | None) -> None:
    """The project's own models.yaml has nothing to find that it does not accept with a reason."""
    given = ["--profile", profile] if profile else []
    done = CliRunner().invoke(app, ["validate", "--strict", "-f", str(ROOT / "models.yaml"), "-o", "json", *given])
    data = json.loads(done.stdout)["data"]
    assert data["findings"] == []
    assert all(one["suppressedBy"]["reason"] for one in data["suppressed"])


def _one(**given: Any) -> Finding:
    return Finding(**{"code": "WTS001", "severity": Severity.WARNING, "message": "m", "file": "models.yaml"} | given)


def test_workflow_commands_are_escaped() -> None:
    """What ends a property or a line in GitHub's commands is escaped; what is accepted is left out."""
    one = _one(message="100%: a\nb", title="Title, with: signs", file="a,b:c.yaml", line=3, column=7, hint="do\r\nthis")
    assert workflow_commands([one, _one(suppressed=Suppression(None))]) == (
        "::warning file=a%2Cb%3Ac.yaml,line=3,col=7,title=WTS001 Title%2C with%3A signs::100%25: a%0Ab%0Ado%0D%0Athis\n"
    )


def test_sarif_is_valid() -> None:
    """Every severity, place and suppression gives a log that the published schema accepts, with each rule in it."""
    found = [
        _one(severity=severity, line=line, column=column, about=about, suppressed=suppressed, file=file)
        for severity, line, column, about, suppressed, file in [
            (Severity.ERROR, 3, 7, "llm/Deployment/x", None, "models.yaml"),
            (Severity.WARNING, 3, 0, "", Suppression(2, "why"), "sub folder/models.yaml"),
            (Severity.INFO, 0, 0, "", Suppression(None), "/abs/models.yaml"),
        ]
    ]
    log = sarif([*found, *problems([])])
    jsonschema.validate(log, SARIF_SCHEMA)
    run = log["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.code for rule in RULES]
    assert all(run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"] == one["ruleId"] for one in run["results"])
    assert [one["level"] for one in run["results"]] == ["error", "warning", "note"]
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "models.yaml",
        "sub%20folder/models.yaml",
        "file:///abs/models.yaml",
    ]
    assert [place.get("region") for place in places] == [{"startLine": 3, "startColumn": 7}, {"startLine": 3}, None]
    assert [one.get("suppressions") for one in run["results"]] == [
        None,
        [{"kind": "inSource", "justification": "why"}],
        [{"kind": "external"}],
    ]


def _calls(models: int) -> int:
    """Calls that looking through a catalog of so many models takes, each with what there is to look at."""
    head, _, rest = CLEAN.partition("- name: llama-70b")
    first = "- name: llama-70b" + rest.partition("- name: granite-8b")[0]
    others = "".join(first.replace("name: llama-70b", f"name: more-{at}") for at in range(models))
    text = head.replace("500Gi", "9000Gi") + others + first + rest[rest.index("- name: granite-8b") :]
    text = text.replace("startupTimeout: 60m", "startupTimeout: 9m  # wtsctl: ignore WTS201 - fast disks")
    catalog = loaded(text)
    manifests = render(catalog.catalog, read_templates(None), knows=lambda _version, _kind: True, parts=True)
    count = 0

    def counting(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        found = check(catalog, text, manifests)
    finally:
        sys.setprofile(None)
    assert {one.code for one in found} == {"WTS201"}
    return count


def test_time_grows_with_the_catalog_and_no_faster() -> None:
    """Twice the models take at most twice the calls and a little: no rule compares each with each."""
    small, large = _calls(40), _calls(80)
    assert large < 2.2 * small
