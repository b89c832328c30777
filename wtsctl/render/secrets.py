"""Secrets that wtsctl makes, and ExternalSecrets: in each namespace whose pods read them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wtsctl.catalog.pods import ExternalSecret, SecretReference, SecretSource
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.secret_uses import secret_uses
from wtsctl.catalog.workload import SHARED_PATH
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

_SECRET = "shared/secret.yaml.j2"  # noqa: S105 - a template
_EXTERNAL = "shared/externalsecret.yaml.j2"


@dataclass(frozen=True, slots=True)
class WantedSecret:
    """One Secret that pods read, and that models.yaml says where to get.

    Attributes:
        namespace: where it has to be.
        name: of the Secret.
        keys: what is in it, by key; each reference has the same kind of source.
    """

    namespace: str
    name: str
    keys: Mapping[str, SecretReference]

    @property
    def sources(self) -> dict[str, SecretSource]:
        """Where each key's value is read, of those that wtsctl reads; empty for an ExternalSecret."""
        return {key: reference.source for key, reference in self.keys.items() if reference.source}

    @property
    def external(self) -> ExternalSecret | None:
        """Where the External Secrets operator gets it from, where that makes it."""
        return next((reference.external for reference in self.keys.values()), None)


def wanted_secrets(asked: Asked) -> tuple[WantedSecret, ...]:
    """The Secrets to be made for what is asked; not those that somebody else makes."""
    catalog = asked.catalog
    chosen = {load.name for load in asked.chosen}
    models = [(at, model) for at, model in enumerate(catalog.models) if model.name in chosen]
    # Llama Stack asks every model that it routes to, chosen or not; it is there only when all are chosen.
    found: dict[tuple[str, str], dict[str, SecretReference]] = {}
    for use in secret_uses(catalog.defaults, catalog.secrets, models, asked.stack, asked.agents):
        one = use.reference
        if one.source or one.external:
            found.setdefault((use.namespace, one.name), {})[one.key] = one
    return tuple(WantedSecret(namespace, name, keys) for (namespace, name), keys in found.items())


def sources(wanted: Iterable[WantedSecret]) -> tuple[SecretSource, ...]:
    """Everything that has to be read for the Secrets, each once."""
    return tuple(dict.fromkeys(source for one in wanted for source in one.sources.values()))


def jobs(asked: Asked) -> Iterator[Job]:
    """The Secrets whose values are known, and the ExternalSecrets.

    The values are filled in after the template is rendered, so that no template and no error of one shows them.
    """
    for one in wanted_secrets(asked):
        if one.external is not None:
            yield Job(_EXTERNAL, _external(asked, one, one.external), Stage.CONFIG, None, SHARED_PATH)
        elif all(source in asked.secrets for source in one.sources.values()):
            values = {key: asked.secrets[source] for key, source in one.sources.items()}
            data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            yield Job(_SECRET, variables(asked, one), Stage.CONFIG, None, SHARED_PATH, data=data)


def variables(asked: Asked, wanted: WantedSecret) -> dict[str, Any]:
    """Variables of `shared/secret.yaml.j2`; the values are not among them.

    Variables:
        namespace: the namespace of the object
        secretName: name of the Secret
    """
    return {
        "namespace": wanted.namespace,
        "secretName": wanted.name,
        "labels": labels(asked.catalog, "secret", wanted.namespace, "secret"),
    }


def _external(asked: Asked, wanted: WantedSecret, store: ExternalSecret) -> dict[str, Any]:
    """Variables of `shared/externalsecret.yaml.j2`.

    Variables:
        store.name: name of the store that the operator reads
        store.kind: SecretStore or ClusterSecretStore
        refreshInterval: how often the operator reads the store
        entries: a list of the keys of the Secret: `secretKey`, `key` in the store, `property` or `none`
    """
    return variables(asked, wanted) | {
        "store": {"name": store.store, "kind": store.store_kind},
        "refreshInterval": duration(parse_duration(store.refresh_interval)),
        "entries": [
            {"secretKey": key, "key": reference.external.key, "property": reference.external.property}
            for key, reference in wanted.keys.items()
            if reference.external is not None
        ],
    }


def duration(seconds: float) -> str:
    """Seconds as operators write a duration: whole seconds, or milliseconds where there are any."""
    whole = round(seconds * 1000)
    return f"{whole // 1000}s" if whole % 1000 == 0 else f"{whole}ms"
