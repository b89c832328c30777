"""The config.json files that a catalog points to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.errors import Problem
    from wtsctl.plan.modelconfig import Checkpoint

# The largest in use have some 200 kB, for checkpoints that list each of their layers.
_MAX_BYTES = 8_000_000


def read_checkpoints(loaded: LoadedCatalog, file: Path) -> dict[str, Checkpoint]:
    """What the config.json of each model that names one says, by the model's name.

    Args:
        loaded: the catalog.
        file: the catalog's own path, from whose folder the names go; `-`: from the current one.

    Raises:
        CatalogError: one cannot be read, is no JSON, or has a key that is wrong; all of them are named.
    """
    from pathlib import Path

    from wtsctl.errors import CatalogError
    from wtsctl.plan.modelconfig import read

    folder = Path() if str(file) == "-" else file.parent
    found: dict[str, Checkpoint] = {}
    problems: list[Problem] = []
    for at, model in enumerate(loaded.catalog.models):
        if model.config is None:
            continue
        path = folder / model.config
        try:
            found[model.name] = read(_json(path, loaded.where("models", at, "config")), str(path))
        except CatalogError as error:
            problems += error.problems
    if problems:
        raise CatalogError.of(problems)
    return found


def _json(path: Path, where: str) -> object:
    """The document of a file that the catalog names at `where`."""
    import json

    from wtsctl.errors import CatalogError

    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CatalogError(f"config: {path} cannot be read: {error.strerror or error}", where=where) from error
    if len(content) > _MAX_BYTES:
        raise CatalogError(f"config: {path} is larger than {_MAX_BYTES:,} bytes, which no config.json is", where=where)
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise CatalogError("not UTF-8", where=str(path)) from error
    except json.JSONDecodeError as error:
        raise CatalogError(f"no JSON: {error.msg}", where=f"{path}:{error.lineno}:{error.colno}") from error
    except RecursionError as error:
        raise CatalogError("nested too deep", where=str(path)) from error
