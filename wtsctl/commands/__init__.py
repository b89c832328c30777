"""The commands, one file each: parse, call, report, exit code.

These modules are all imported at start-up, so they import only typer at their top; what a command needs it
imports inside its function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add every command to the app, in the order that `--help` lists them."""
    from wtsctl.commands.delete import delete
    from wtsctl.commands.deploy import deploy
    from wtsctl.commands.diff import diff
    from wtsctl.commands.history import history
    from wtsctl.commands.plan import plan
    from wtsctl.commands.render import render
    from wtsctl.commands.rollback import rollback
    from wtsctl.commands.sandbox import app as sandbox
    from wtsctl.commands.schema import schema
    from wtsctl.commands.smoke_test import smoke_test
    from wtsctl.commands.status import status
    from wtsctl.commands.templates import app as templates
    from wtsctl.commands.validate import validate

    app.command()(validate)
    app.command()(render)
    app.command()(plan)
    app.command()(diff)
    app.command()(deploy)
    app.command()(history)
    app.command()(rollback)
    app.command()(status)
    app.command("smoke-test")(smoke_test)
    app.command()(delete)
    app.command()(schema)
    app.add_typer(templates, name="templates")
    app.add_typer(sandbox, name="sandbox")
