"""`wtsctl diff`: what a deploy would change, field by field."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wtsctl.commands import options
from wtsctl.commands.desired import Only, Roles, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal


class Form(StrEnum):
    """How the differences are written on stdout."""

    TABLE = "table"
    DIFF = "diff"
    JSON = "json"


ExitWith = Annotated[bool, typer.Option("--exit-code", help="Exit code 8 if there are differences.")]
Output = Annotated[
    Form, typer.Option("--output", "-o", help="Field by field, as a unified diff of YAML documents, or as JSON.")
]


def diff(
    *,
    models: options.Models = None,
    role: Roles = None,
    only: Only = None,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    exit_code: ExitWith = False,
    output: Output = Form.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show what a deploy would change, and change nothing.

    What the catalog no longer has is a difference too, which `deploy --prune` removes; MODEL, --role and --only leave
    it out.
    The API server is asked about each object that is not as it should be, by an apply that it does not carry out, so
    that what it fills in itself is no difference. Who may not apply sees the fields of the manifests that differ.
    Neither the status of an object is shown nor whose its fields are; values of Secrets are masked.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.cluster.client import Client
        from wtsctl.cluster.config import connect
        from wtsctl.commands.desired import read
        from wtsctl.commands.planned import foreseen
        from wtsctl.errors import ExitCode
        from wtsctl.plan.changes import Action
        from wtsctl.report.diff import DiffReport, Pair
        from wtsctl.report.result import Result

        wanted = Wanted(models or (), role or (), only or (), file, profile, templates)
        found = read(wanted)
        client = Client(connect(kubeconfig, context), told=screen.note)
        screen.detail(f"comparing {found[0].catalog.name} with {client.connection.host}")
        compared, membership, plan = foreseen(wanted, found, client, screen, check_new=True)
        states: list[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]
        states = [(one.live, one.after or one.manifest.doc) for one in compared]
        states += [(item, None) for _, item in membership.found.removed]
        pairs = [Pair(change, *state) for change, state in zip(plan.changes, states, strict=True)]
        report = DiffReport(pairs, plan)
        for warning in client.take_warnings():
            screen.warn(f"warning: {warning}")
        differs = any(one.change.action is not Action.UNCHANGED for one in report.pairs)
        return Result(
            data=report.data(),
            show=report.show_unified if output is Form.DIFF else report.show_fields,
            exit_code=ExitCode.DIFFERENCES if differs and exit_code else ExitCode.OK,
        )

    screen = terminal(no_color=no_color, quiet=quiet, verbose=verbose)
    finish("diff", screen, body, as_json=output is Form.JSON)
