"""The name and namespace of a catalog of which the rest may be wrong: for looking at what was deployed before."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from wtsctl.catalog import profile as profiles
from wtsctl.catalog.forms import DnsLabel
from wtsctl.catalog.load import load
from wtsctl.catalog.source import parse
from wtsctl.catalog.tree import Mapping, plain


class _Defaults(BaseModel):
    model_config = ConfigDict(strict=True)
    namespace: DnsLabel


class _Top(BaseModel):
    model_config = ConfigDict(strict=True)
    name: DnsLabel
    defaults: _Defaults


def home(text: str, *, filename: str, profile: str | None = None) -> tuple[str, str]:
    """The catalog's name and its `defaults.namespace`.

    Args:
        text: the content of models.yaml.
        filename: what positions start with.
        profile: the profile to merge in.

    Raises:
        CatalogError: it is no YAML, has no such profile, or one of the two is missing or wrong; with every problem.
    """
    root, _ = parse(text, filename=filename)
    if isinstance(root, Mapping):
        base, variants = profiles.split(root)
        chosen = variants.get(profile) if isinstance(variants, Mapping) and profile is not None else None
        if profile is None or chosen is not None:
            try:
                found = _Top.model_validate(plain(profiles.apply(base, variants, profile) if profile else base))
            except ValidationError:
                # In the words of every other command, below.
                pass
            else:
                return found.name, found.defaults.namespace
    catalog = load(text, filename=filename, profile=profile).catalog
    return catalog.name, catalog.defaults.namespace
