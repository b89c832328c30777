"""Catalogs that between them use everything, and the API server that they are tried on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Entry
from wtsctl.catalog.pods import SecretReference
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.config import connect
from wtsctl.cluster.discovery import DEPLOYMENT, NAMESPACE, Discovery, Kind
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render.manifest import Manifest, render

if TYPE_CHECKING:
    from tests.sandboxes import Cluster

ROOT = Path(__file__).resolve().parents[2]
MATRIX = sorted(Path(__file__).with_name("matrix").glob("*.yaml"))
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
POD_TEMPLATE = Kind("v1", "PodTemplate", "podtemplates")


def entries(value: Any) -> Iterator[Entry]:
    """Every entry of a catalog, itself included."""
    if isinstance(value, Entry):
        yield value
        for name in value.model_fields_set:
            yield from entries(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from entries(item)


class _Recorded(dict[str, str]):
    """Templates by name that know which of them were read, by the renderer or by another template."""

    def __init__(self, templates: dict[str, str]) -> None:
        super().__init__(templates)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The same for a template that another one includes."""
        return default if name not in self.keys() else self[name]


@dataclass(frozen=True, slots=True)
class Case:
    """A catalog, as it is or with one of its profiles."""

    file: Path
    profile: str | None = None

    def __str__(self) -> str:
        """The id of its test."""
        name = self.file.name if self.file.parent == ROOT else self.file.stem
        return f"{name}:{self.profile}" if self.profile else name

    def catalog(self) -> Catalog:
        """What it says."""
        return _catalog(self)

    def manifests(self) -> tuple[Manifest, ...]:
        """All of it, rendered for a cluster that serves every kind, with a value for every Secret that needs one."""
        return _rendered(self)[0]

    def templates(self) -> frozenset[str]:
        """The names of the templates that this takes."""
        return _rendered(self)[1]


@cache
def _catalog(case: Case) -> Catalog:
    return read_catalog(case.file, case.profile).catalog


@cache
def _rendered(case: Case) -> tuple[tuple[Manifest, ...], frozenset[str]]:
    catalog, templates = _catalog(case), _Recorded(read_templates(None))
    references = (one for one in entries(catalog) if isinstance(one, SecretReference))
    secrets = {one.source: "a value" for one in references if one.source}
    manifests = render(catalog, templates, knows=lambda *_: True, secrets=secrets, parts=True)
    return manifests, frozenset(templates.read)


def cases() -> Iterator[Case]:
    """Every catalog, with each of its profiles."""
    for file in (ROOT / "models.yaml", *MATRIX):
        yield Case(file)
        # Every name as it is written: YAML's own `off` is no string.
        for profile in yaml.load(file.read_text(), yaml.BaseLoader).get("profiles", ()):  # noqa: S506 - makes strings
            yield Case(file, profile)


CASES = tuple(cases())


class Server:
    """The API server that knows every kind."""

    def __init__(self, cluster: Cluster) -> None:
        self.client = Client(connect(cluster.kubeconfig))
        self.discovery = Discovery(self.client)

    def complaints(self, manifests: tuple[Manifest, ...]) -> list[str]:
        """What it refuses and what it warns of in a dry run; none where all is well."""
        self.surroundings(manifests)
        self.client.take_warnings()
        refusals = each(self.refusal, [doc for one in manifests for doc in (one.doc, *pod_templates(one))])
        return [*filter(None, refusals), *self.client.take_warnings()]

    def refusal(self, doc: dict[str, Any]) -> str | None:
        """Why it does not take an object, if it does not."""
        try:
            kind = self.discovery.kind(doc["apiVersion"], doc["kind"])
            objects.apply(self.client, kind, doc, force=True, dry_run=True)
        except ApiRefused as error:
            return f"{error.problem.where}: {error.problem.message}"
        return None

    def surroundings(self, manifests: tuple[Manifest, ...]) -> frozenset[str]:
        """Make what manifests take to be there: their namespaces, whose names are returned, and others' Deployments."""
        names = frozenset(one.namespace for one in manifests if one.namespace)
        each(self.namespace, names)
        each(self.owned_by_another, [one for one in manifests if one.partial])
        return names

    def namespace(self, name: str) -> None:
        """Make a namespace that takes and tolerates only what is `restricted`."""
        doc = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        objects.apply(self.client, NAMESPACE, doc, force=True)

    def owned_by_another(self, manifest: Manifest) -> None:
        """Make the Deployment that a manifest is a part of."""
        spec = manifest.doc["spec"]["template"]["spec"]
        labels = {"app": manifest.name}
        own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        containers = [{"name": one["name"], "image": "x:1", "securityContext": own} for one in spec["containers"]]
        pod = {
            "containers": containers,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        }
        doc = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": manifest.name, "namespace": manifest.namespace},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
        self.client.exchange(
            "PATCH",
            DEPLOYMENT.path(manifest.namespace or "", manifest.name),
            query={"fieldManager": "somebody-else", "force": "true"},
            body=doc,
            content_type="application/apply-patch+yaml",
        )


def pod_templates(manifest: Manifest) -> Iterator[dict[str, Any]]:
    """The pod templates inside a custom resource, as objects of which Pod Security knows what they are."""
    group = manifest.doc.get("spec", {}).get("leaderWorkerTemplate", {})
    for part in ("leaderTemplate", "workerTemplate"):
        if part in group:
            yield {
                "apiVersion": POD_TEMPLATE.api_version,
                "kind": POD_TEMPLATE.kind,
                "metadata": {"name": f"{manifest.name}-{part.lower()}", "namespace": manifest.namespace},
                "template": group[part],
            }
