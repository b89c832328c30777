"""`wtsctl render`: the manifests as a stream, a folder, or a kustomize tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from wtsctl.render.manifest import Manifest
    from wtsctl.report.result import Result
    from wtsctl.report.terminal import Terminal


def render(
    models: options.Models = None,
    *,
    file: options.File = options.DEFAULT_FILE,
    profile: options.Profile = None,
    templates: options.Templates = None,
    api_versions: options.ApiVersions = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", metavar="DIR", help="Write one file per object into DIR.")
    ] = None,
    kustomize: Annotated[
        Path | None, typer.Option("--kustomize", metavar="DIR", help="Write a kustomize tree into DIR/kubernetes.")
    ] = None,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Print the Kubernetes manifests of the catalog, or write them to a folder.

    Without MODEL everything is rendered; with MODEL, those models and the shared objects they need. Secrets are
    never rendered. No cluster is asked: what is `auto` in the catalog is rendered where its kind is named by
    --api-versions, or one that every cluster serves.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.commands.inputs import read_catalog, read_templates
        from wtsctl.errors import UsageError
        from wtsctl.render.kinds import named
        from wtsctl.render.manifest import render as render_manifests
        from wtsctl.render.tree import OBJECT_MARK, TREE_MARK, kustomize_files, object_files
        from wtsctl.report.result import Result

        if output_dir is not None and kustomize is not None:
            raise UsageError("--output-dir and --kustomize exclude each other", hint="run the command twice")
        loaded = read_catalog(file, profile)
        chosen = {workload.name for workload in select(loaded.workloads, models)} if models else None
        manifests = render_manifests(loaded.catalog, read_templates(templates), chosen, knows=named(api_versions or ()))
        screen.detail(f"{len(manifests)} objects from {len(chosen or loaded.workloads)} models")
        if output_dir is not None:
            files = object_files(manifests)
            return _folder(screen, output_dir, files, mark=OBJECT_MARK, owned="*/*.yaml", whole=not models)
        if kustomize is not None:
            files = kustomize_files(manifests)
            return _folder(screen, kustomize, files, mark=TREE_MARK, owned="kubernetes/**/*.yaml", whole=not models)
        return Result(data={"manifests": [_entry(manifest) for manifest in manifests]}, show=_stream(manifests))

    finish(
        "render", terminal(no_color=no_color, quiet=quiet, verbose=verbose), body, as_json=output is options.Output.JSON
    )


def _folder(screen: Terminal, folder: Path, files: dict[str, str], *, mark: str, owned: str, whole: bool) -> Result:
    from wtsctl.commands.folder import write
    from wtsctl.report.result import Result

    written = write(folder, files, mark=mark, owned=owned, may_remove=whole)
    for name in written.removed:
        screen.note(f"removed {folder / name}: no longer rendered")
    paths = [str(folder / name) for name in written.files]
    return Result(
        data={"files": paths, "removed": [str(folder / name) for name in written.removed]},
        show=lambda shown: shown.write("".join(f"{path}\n" for path in paths)),
    )


def _entry(manifest: Manifest) -> dict[str, Any]:
    return {
        "identity": manifest.identity,
        "stage": manifest.stage.name.lower().replace("_", "-"),
        "template": manifest.template,
        "model": manifest.model,
        "path": manifest.path,
        "object": manifest.doc,
    }


def _stream(manifests: tuple[Manifest, ...]) -> Any:
    from wtsctl.render.tree import stream

    return lambda shown: shown.write(stream(manifests))
