"""`wtsctl validate`: what is wrong with the catalog, or would break in the cluster, before anything gets there."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from pathlib import Path

    from wtsctl.plan.findings.rule import Finding
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal


class Output(StrEnum):
    """How findings are written on stdout."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


Format = Annotated[
    Output,
    typer.Option(
        "--output", "-o", help="How the findings are written on stdout; github: annotations for a workflow's log."
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="CODE", help="A code that does not count; can be repeated.", show_default=False),
]
Strict = Annotated[bool, typer.Option("--strict", help="End with 3 for warnings as well.")]


def validate(
    *,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    ignore: Ignore = None,
    strict: Strict = False,
    output: Format = Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Check the catalog and its manifests, without a cluster.

    Everything is rendered, what is `auto` included, and looked through for what would be refused, would not start
    or would not hold. Each finding has a code, explained in docs/reference/findings.md. A comment
    `# wtsctl: ignore CODE - why` accepts one where it stands. Exit code 3: an error was found.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.errors import ExitCode
        from wtsctl.plan.findings.rule import Severity
        from wtsctl.report.result import Result
        from wtsctl.report.validate import findings_data, show_findings

        ignored = _codes(ignore or [])
        found = _findings(file, profile, templates, ignored, screen)
        bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
        failed = any(one.severity in bad for one in found if one.suppressed is None)
        return Result(
            data=findings_data(found),
            show=lambda shown: show_findings(shown, found, output.value),
            exit_code=ExitCode.CATALOG if failed else ExitCode.OK,
        )

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("validate", screen, body, as_json=output is Output.JSON)


def _codes(given: list[str]) -> frozenset[str]:
    """The codes of `--ignore`, which may hold several with commas between them.

    Raises:
        UsageError: one of them is no code; it would accept nothing, in silence.
    """
    from wtsctl.catalog.fault import suggestion
    from wtsctl.errors import UsageError
    from wtsctl.plan.findings.registry import BY_CODE

    codes = [code.strip().upper() for text in given for code in text.split(",") if code.strip()]
    for code in codes:
        if code not in BY_CODE:
            hint = suggestion(code, BY_CODE) or "docs/reference/findings.md lists the codes"
            raise UsageError(f"--ignore: there is no finding '{code}'", hint=hint)
    return frozenset(codes)


def _findings(
    file: Path, profile: str | None, templates: Path | None, ignored: frozenset[str], screen: Terminal
) -> tuple[Finding, ...]:
    """What is found, or what the catalog and the templates are refused for."""
    from wtsctl.catalog.load import load
    from wtsctl.commands.checkpoints import read_checkpoints
    from wtsctl.commands.inputs import read_templates, read_text
    from wtsctl.errors import CatalogError, TemplateError
    from wtsctl.plan.findings.check import check, problems
    from wtsctl.render.manifest import render

    try:
        name, text = read_text(file)
        loaded = load(text, filename=name, profile=profile)
        checkpoints = read_checkpoints(loaded, file)
        texts = read_templates(templates)
        manifests = render(loaded.catalog, texts, knows=lambda _version, _kind: True, parts=True, where=loaded.where)
    except (CatalogError, TemplateError) as error:
        return problems(error.problems)
    screen.detail(f"{len(manifests)} objects from {len(loaded.workloads)} models")
    return check(loaded, text, manifests, checkpoints=checkpoints, ignored=ignored)
