"""`wtsctl templates`: list, show and copy the built-in templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wtsctl.commands import completion, options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal

app = typer.Typer(help="List, show and copy the templates of the manifests.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A template, such as vllm/deployment.yaml.j2.", autocompletion=completion.templates
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Templates, such as vllm/deployment.yaml.j2 or 'vllm/*'.",
        autocompletion=completion.templates,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Copy every template.")]
Folder = Annotated[Path, typer.Option("--output-dir", metavar="DIR", help="Folder to copy to, made if missing.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]
_SUFFIX = ".yaml.j2"


@app.command("list")
def list_templates(
    *, output: options.Format = options.Output.TABLE, no_color: options.NoColor = False, quiet: options.Quiet = False
) -> None:
    """List the built-in templates, each with what it is for."""
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(_: Terminal) -> Result:
        from wtsctl.commands.inputs import read_templates
        from wtsctl.render.templates import about
        from wtsctl.report.result import Result
        from wtsctl.report.templates import show_templates

        found = {name: about(text) for name, text in read_templates(None).items()}
        data = {"templates": [{"name": name, "for": text} for name, text in found.items()]}
        return Result(data=data, show=lambda shown: show_templates(shown, found))

    screen = terminal(no_color=no_color, quiet=quiet)
    finish("templates list", screen, body, as_json=output is options.Output.JSON)


@app.command("show")
def show_template(name: Name, *, output: options.Format = options.Output.TABLE, quiet: options.Quiet = False) -> None:
    """Print a built-in template as it is."""
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(_: Terminal) -> Result:
        from wtsctl.commands.inputs import read_templates
        from wtsctl.render.eject import digest
        from wtsctl.report.result import Result

        templates = read_templates(None)
        found = _chosen(templates, [name])
        data = [{"name": one, "sha256": digest(templates[one]), "text": templates[one]} for one in found]
        text = "".join(templates[one] for one in found)
        return Result(data={"templates": data}, show=lambda shown: shown.write(text))

    finish("templates show", terminal(quiet=quiet), body, as_json=output is options.Output.JSON)


@app.command("eject")
def eject_templates(
    names: Names = None,
    *,
    output_dir: Folder,
    every: All = False,
    force: Force = False,
    output: options.Format = options.Output.TABLE,
    quiet: options.Quiet = False,
) -> None:
    """Copy built-in templates to a folder, to be changed and used with --templates.

    The first line of a copy says which version it was made from; render and deploy warn once the original is
    another one. Copy only what you change: all other templates then stay those of your version of wtsctl.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(_: Terminal) -> Result:
        from wtsctl import __version__
        from wtsctl.commands.folder import write
        from wtsctl.commands.inputs import read_templates
        from wtsctl.errors import UsageError
        from wtsctl.render.eject import copy
        from wtsctl.report.result import Result

        if every == bool(names):
            raise UsageError("name the templates to copy, or --all", hint="`wtsctl templates list` lists them")
        templates = read_templates(None)
        chosen = _chosen(templates, names or list(templates))
        there = [str(output_dir / name) for name in chosen if (output_dir / name).exists()]
        if there and not force:
            raise UsageError(
                f"nothing was copied: {', '.join(there)} {'is' if len(there) == 1 else 'are'} there already",
                hint="--force overwrites, with every change that was made there",
            )
        files = {name: copy(name, templates[name], __version__) for name in chosen}
        # No file of the folder is taken for one of an earlier call.
        write(output_dir, files, mark="", owned="*/.none", may_remove=True)
        paths = [str(output_dir / name) for name in chosen]
        return Result(data={"files": paths}, show=lambda shown: shown.write("".join(f"{path}\n" for path in paths)))

    finish("templates eject", terminal(quiet=quiet), body, as_json=output is options.Output.JSON)


def _chosen(templates: Mapping[str, str], words: Sequence[str]) -> list[str]:
    """The templates that the words name, each once, in the order of the list.

    Raises:
        SelectionError: a word names none.
    """
    from fnmatch import fnmatchcase

    from wtsctl.catalog.fault import suggestion
    from wtsctl.errors import SelectionError

    chosen: set[str] = set()
    for word in words:
        found = {name for name in templates if word in {name, name.removesuffix(_SUFFIX)} or fnmatchcase(name, word)}
        if not found:
            hint = suggestion(word, templates) or "`wtsctl templates list` lists them"
            raise SelectionError(f"there is no built-in template '{word}'", hint=hint)
        chosen |= found
    return [name for name in templates if name in chosen]
