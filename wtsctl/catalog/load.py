"""models.yaml as text → the checked catalog, or every problem it has."""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from pydantic import ValidationError

from wtsctl.catalog.model import Catalog
from wtsctl.catalog.workload import Workload, workloads
from wtsctl.errors import CatalogError, Problem


@dataclass(frozen=True, slots=True)
class LoadedCatalog:
    """A catalog that passed every check, and where each part of it stands.

    Attributes:
        catalog: what models.yaml says, with the profile merged in.
        workloads: its models with every default filled in, in file order.
        profile: the profile that was merged in, if any.
        filename: the name that positions start with.
    """

    catalog: Catalog
    workloads: tuple[Workload, ...]
    profile: str | None
    filename: str

    def where(self, *path: str | int) -> str:
        """`FILE:LINE:COLUMN` of a value of the merged document, by its keys and indices."""
        del path
        return self.filename


def load(text: str, *, filename: str, profile: str | None = None) -> LoadedCatalog:
    """Read, merge and check a catalog.

    Raises:
        CatalogError: with every problem found, in file order.
    """
    document = yaml.safe_load(text)
    chosen = document.pop("profiles", {}).get(profile) if profile else document.pop("profiles", None)
    if profile and chosen:
        each = chosen.get("eachModel", {})
        own = {entry["name"]: entry for entry in chosen.get("models", [])}
        document["defaults"]["images"].update(chosen.get("defaults", {}).get("images", {}))
        for key in ("secrets", "cache"):
            document.pop(key, None)
        document["llamaStack"].update(chosen.get("llamaStack", {}))
        document["models"] = [
            {k: v for k, v in {**entry, **each, **own.get(entry["name"], {})}.items() if v is not None}
            for entry in document["models"]
        ]
    try:
        catalog = Catalog.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise CatalogError.of(
            [Problem("catalog", f"{item['loc']}: {item['msg']}", filename) for item in error.errors()]
        ) from error
    return LoadedCatalog(catalog, workloads(catalog), profile, filename)
