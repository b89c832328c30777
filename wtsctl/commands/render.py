"""`wtsctl render`: the manifests as a stream, a folder, or a kustomize tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wtsctl.commands import options

if TYPE_CHECKING:
    from wtsctl.catalog.document import Catalog
    from wtsctl.catalog.pods import SecretSource
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
    agents: Annotated[
        bool, typer.Option("--agents", help="Only the environment of agents whose Deployments are somebody else's.")
    ] = False,
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Render the Secrets that models.yaml says how to make, values and all."),
    ] = False,
    output: options.Format = options.Output.TABLE,
    no_color: options.NoColor = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Print the Kubernetes manifests, or write them to a folder.

    Without MODEL everything is rendered; with MODEL, those models and the shared objects they need. Secrets are left
    out unless --with-secrets asks for them; the files are then readable by their owner alone. No cluster is asked:
    what is `auto` in the catalog is rendered where its kind is named by --api-versions, or one that every cluster
    serves.

    The environment of agents without an image is a part of Deployments that somebody else owns. It is left out, but
    for components in the tree of --kustomize; --agents prints it, or with --output-dir writes a file for each, for
    `kubectl patch --type=strategic -f FILE --patch-file FILE`.
    """
    from wtsctl.commands.inputs import terminal
    from wtsctl.report.result import finish

    def body(screen: Terminal) -> Result:
        from wtsctl.catalog.selection import select
        from wtsctl.commands.inputs import read_catalog, read_templates
        from wtsctl.errors import SelectionError, UsageError
        from wtsctl.render.kinds import Named
        from wtsctl.render.manifest import render as render_manifests
        from wtsctl.render.tree import OBJECT_MARK, TREE_MARK, kustomize_files, object_files
        from wtsctl.report.result import Result

        if output_dir is not None and kustomize is not None:
            raise UsageError("--output-dir and --kustomize exclude each other", hint="run the command twice")
        if agents and models:
            raise UsageError("--agents and MODEL exclude each other: an agent is no model")
        if agents and kustomize is not None:
            raise UsageError("--agents and --kustomize exclude each other", hint="the tree has the agents' components")
        loaded = read_catalog(file, profile)
        chosen = {workload.name for workload in select(loaded.workloads, models)} if models else None
        texts, knows = read_templates(templates, screen.warn), Named(api_versions or ())
        secrets = _secrets(loaded.catalog, chosen, file, screen, render=with_secrets)
        everything = render_manifests(
            loaded.catalog, texts, chosen, knows=knows, secrets=secrets, parts=True, where=loaded.where
        )
        for text in knows.without_effect((one.doc["apiVersion"], one.doc["kind"]) for one in everything):
            screen.note(text)
        manifests = tuple(one for one in everything if kustomize is not None or one.partial == agents)
        if agents and not manifests:
            raise SelectionError("no agent's Deployment is somebody else's", hint="agents with an image are whole")
        screen.detail(f"{len(manifests)} objects from {len(chosen or loaded.workloads)} models")
        if not agents and (left := len(everything) - len(manifests)):
            who = "1 agent has" if left == 1 else f"{left} agents have"
            screen.note(f"{who} no image: the environment of somebody else's Deployment is left out; see --agents")
        whole = not models and not agents
        if output_dir is not None:
            files = object_files(manifests)
            return _folder(screen, output_dir, files, OBJECT_MARK, "*/*.yaml", whole=whole, private=with_secrets)
        if kustomize is not None:
            files = kustomize_files(manifests)
            owned = "kubernetes/**/*.yaml"
            return _folder(screen, kustomize, files, TREE_MARK, owned, whole=whole, private=with_secrets)
        return Result(data={"manifests": [_entry(manifest) for manifest in manifests]}, show=_stream(manifests))

    finish(
        "render", terminal(no_color=no_color, quiet=quiet, verbose=verbose), body, as_json=output is options.Output.JSON
    )


def _secrets(
    catalog: Catalog, chosen: set[str] | None, file: Path, screen: Terminal, *, render: bool
) -> dict[SecretSource, str]:
    """The values of Secrets, where they are to be rendered; otherwise says how many are left out."""
    from wtsctl.commands.secrets import read_values, require
    from wtsctl.render.manifest import ask
    from wtsctl.render.secrets import sources, wanted_secrets

    wanted = [one for one in wanted_secrets(ask(catalog, chosen)) if one.sources]
    if not render:
        if wanted:
            what = "1 Secret is" if len(wanted) == 1 else f"{len(wanted)} Secrets are"
            screen.note(f"{what} left out; deploy makes them, --with-secrets renders them")
        return {}
    if not wanted:
        screen.note("no Secret is rendered: models.yaml says of none where its value comes from (fromEnv, fromFile)")
    values = read_values(sources(wanted), file)
    require(wanted, values)
    return dict(values.known)


def _folder(
    screen: Terminal, folder: Path, files: dict[str, str], mark: str, owned: str, *, whole: bool, private: bool
) -> Result:
    from wtsctl.commands.folder import write
    from wtsctl.report.result import Result

    written = write(folder, files, mark=mark, owned=owned, may_remove=whole, private=private)
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
        "stage": manifest.stage.word,
        "template": manifest.template,
        "model": manifest.model,
        "path": manifest.path,
        "object": manifest.doc,
    }


def _stream(manifests: tuple[Manifest, ...]) -> Any:
    from wtsctl.render.tree import stream

    return lambda shown: shown.write(stream(manifests))
