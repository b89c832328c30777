"""The options that commands share, spelled and described once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wtsctl.commands import completion


class Output(StrEnum):
    """How a result is written on stdout."""

    TABLE = "table"
    JSON = "json"


File = Annotated[Path, typer.Option("--file", "-f", metavar="FILE", help="The catalog to read.", show_default=True)]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profile of the catalog to merge in.",
        envvar="WTSCTL_PROFILE",
        autocompletion=completion.profiles,
    ),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Kubeconfig to use instead of $KUBECONFIG or ~/.kube/config."),
]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="How the result is written on stdout.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (also: set NO_COLOR).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress messages on stderr.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="More detail on stderr.", show_default=False)]
LockTimeout = Annotated[
    str,
    typer.Option(
        "--lock-timeout",
        metavar="DURATION",
        help="How long to wait while another deploy or delete of the same catalog is at work, such as 10m.",
    ),
]
Templates = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="Templates laid over the built-in ones, file by file.")
]
ApiVersions = Annotated[
    list[str] | None,
    typer.Option(
        "--api-versions",
        metavar="GROUP/VERSION/KIND",
        help="A kind that the cluster serves, or with GROUP/VERSION all of its kinds, for what is `auto`; repeatable. "
        "Kubernetes' own kinds are known.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL", help="Names, aliases or globs of models; none: all.", autocompletion=completion.models
    ),
]

NO_PATIENCE = "0s"
DEFAULT_FILE = Path("models.yaml")
