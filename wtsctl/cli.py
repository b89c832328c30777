"""The command line: one typer app, which loads nothing but typer until a command runs."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from wtsctl import __version__, commands

app = typer.Typer(
    name="wtsctl",
    help="Deploy, check and measure the LLM layer of a workshop platform, from one models.yaml.",
    no_args_is_help=True,
    # Plain help: rich's panels cost start-up time and break in pipes.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _main(
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        sys.stdout.write(f"wtsctl {__version__}\n")
        raise typer.Exit


commands.register(app)


def run() -> None:
    """Run the command line; a command ends the process itself, in `report.result.finish`."""
    # What a cancelled CI job or a pod that ends gets. As Ctrl-C it leaves the lock free and the record true.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except SystemExit as end:
        # typer ends with code 1 when the reader of its help went away, and does not say so.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
