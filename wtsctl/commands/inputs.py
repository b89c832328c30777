"""What commands read before they start: the catalog, and the terminal they answer on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from wtsctl.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.report.terminal import Terminal


def terminal(*, no_color: bool = False, quiet: bool = False, verbose: int = 0) -> Terminal:
    """The terminal as the shared options ask for it."""
    from wtsctl.report.terminal import Terminal

    return Terminal(color=not no_color, quiet=quiet, verbosity=verbose)


def read_catalog(file: Path, profile: str | None) -> LoadedCatalog:
    """Read and check the catalog that `--file` and `--profile` name; `-` is standard input.

    Raises:
        CatalogError: it cannot be read, or something in it is wrong.
    """
    from wtsctl.catalog.load import load

    if str(file) == "-":
        return load(sys.stdin.read(), filename="<stdin>", profile=profile)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise CatalogError(f"{file} does not exist", hint="name the catalog with --file") from error
    return load(text, filename=str(file), profile=profile)


# Files of an overlay that are meant as templates, well spelled or not; a README beside them is nobody's business.
_TEMPLATE_SUFFIXES = {".j2", ".jinja", ".jinja2", ".yaml", ".yml"}


def read_templates(overlay: Path | None) -> dict[str, str]:
    """The built-in templates by name (`vllm/deployment.yaml.j2`), with those of `--templates` laid over them.

    Raises:
        UsageError: `overlay` is no folder.
        TemplateError: a file of it cannot be read, or replaces no built-in template.
    """
    from importlib.resources import files
    from pathlib import Path

    from wtsctl.errors import TemplateError, UsageError
    from wtsctl.render.templates import TemplateText, lay_over

    packaged = Path(str(files("wtsctl"))) / "templates"
    # An editable install leaves the folder where it is in the repository: beside the package.
    folder = packaged if packaged.is_dir() else packaged.parent.parent / "templates"
    builtin = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in sorted(folder.glob("*/*.j2"))
    }
    if overlay is None:
        return builtin
    if not overlay.is_dir():
        raise UsageError(f"--templates: {overlay} is not a folder")
    own: dict[str, str] = {}
    for path in sorted(overlay.rglob("*")):
        if not path.is_file() or path.suffix not in _TEMPLATE_SUFFIXES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(f"cannot be read: {error}", where=str(path)) from error
        own[path.relative_to(overlay).as_posix()] = TemplateText(text, str(path))
    return lay_over(builtin, own)
