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
