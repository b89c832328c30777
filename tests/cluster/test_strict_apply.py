"""What is rendered, tried on a real API server that knows every kind: strict validation and admission.

Each file in `tests/cluster/matrix` is a catalog, and so is the project's models.yaml; each is rendered as it is and
with every profile it has, for a cluster that serves everything. To add one, drop `NAME.yaml` into the folder: a whole
models.yaml, small, about one runtime or a few options that belong together, in any namespaces. It has to be accepted
without a warning where Pod Security's `restricted` is enforced. Where an agent's Deployment is somebody else's, it
is made before; so is every namespace. Nothing else is: the applies are dry runs, and what they refer to need not be.

`test_every_template_is_used` and `test_every_option_is_used` say what the catalogs leave out.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest
import yaml

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Entry
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.smoke import Assertion, Prompt
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

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
MATRIX = sorted(Path(__file__).with_name("matrix").glob("*.yaml"))
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
# What only `smoke-test` reads.
NOT_RENDERED = frozenset({Prompt, Assertion})
# Values that are handed on to the server as they are, or to whoever applies a patch.
ARGUMENTS = frozenset({"Model.dtype", "Model.kv_cache_dtype", "Lora.max_rank"})
POD_TEMPLATE = Kind("v1", "PodTemplate", "podtemplates")


@dataclass(frozen=True, slots=True)
class Case:
    """A catalog, as it is or with one of its profiles."""

    file: Path
    profile: str | None = None

    def __str__(self) -> str:
        """The id of its test."""
        name = self.file.name if self.file.parent == ROOT else self.file.stem
        return f"{name}:{self.profile}" if self.profile else name

    def manifests(self, templates: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        """All of it, rendered for a cluster that serves every kind, with a value for every Secret that needs one."""
        catalog = read_catalog(self.file, self.profile).catalog
        references = (one for one in entries(catalog) if isinstance(one, SecretReference))
        secrets = {one.source: "a value" for one in references if one.source}
        return render(catalog, templates or read_templates(None), knows=lambda *_: True, secrets=secrets)


def cases() -> Iterator[Case]:
    """Every catalog, with each of its profiles."""
    for file in (ROOT / "models.yaml", *MATRIX):
        yield Case(file)
        # Every name as it is written: YAML's own `off` is no string.
        for profile in yaml.load(file.read_text(), yaml.BaseLoader).get("profiles", ()):  # noqa: S506 - makes strings
            yield Case(file, profile)


CASES = tuple(cases())


class Server:
    """The API server, asked to take manifests without keeping them."""

    def __init__(self, cluster: Cluster) -> None:
        self.client = Client(connect(cluster.kubeconfig))
        self.discovery = Discovery(self.client)

    def complaints(self, manifests: tuple[Manifest, ...]) -> list[str]:
        """What it refuses and what it warns of; none where all is well."""
        for name in sorted({one.namespace for one in manifests if one.namespace}):
            self.namespace(name)
        for manifest in manifests:
            if manifest.partial:
                self.owned_by_another(manifest)
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

    def namespace(self, name: str) -> None:
        """Make a namespace that takes and tolerates only what is `restricted`."""
        doc = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
        objects.apply(self.client, NAMESPACE, doc, force=True)

    def owned_by_another(self, manifest: Manifest) -> None:
        """Make the Deployment that a manifest is a part of."""
        spec = manifest.doc["spec"]["template"]["spec"]
        labels = {"app": manifest.name}
        containers = [{"name": one["name"], "image": "x:1"} for one in spec["containers"]]
        doc = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": manifest.name, "namespace": manifest.namespace},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }
        try:
            self.client.exchange("POST", DEPLOYMENT.path(manifest.namespace or ""), body=doc)
        except ApiRefused as error:
            assert error.status == 409, error  # noqa: PT017 - another catalog's agent of the same name


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


@pytest.fixture(scope="module")
def server(every_kind: Cluster) -> Server:
    """The API server that knows every kind."""
    return Server(every_kind)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_api_server_takes_all_of_it(server: Server, case: Case) -> None:
    """Every object passes strict validation and admission, and nothing is warned of."""
    manifests = case.manifests()
    assert manifests
    assert server.complaints(manifests) == []


def test_an_unknown_field_is_refused(server: Server) -> None:
    """The silence above means something: one wrong key is refused, in every kind that is rendered."""
    by_kind = {(one.api_version, one.kind): one for case in CASES for one in case.manifests() if not one.partial}
    assert len(by_kind) > 4
    for manifest in by_kind.values():
        doc = copy.deepcopy(manifest.doc)
        doc.get("spec", doc)["unheardOf"] = "x"
        if manifest.namespace:
            server.namespace(manifest.namespace)
        assert "unheardOf" in (server.refusal(doc) or ""), f"{manifest.identity} is taken with an unknown field"


def test_what_is_not_restricted_is_warned_of(server: Server) -> None:
    """Nor would admission have been silent: without its securityContext the same Deployment is warned of."""
    manifests = Case(ROOT / "models.yaml").manifests()
    deployment = copy.deepcopy(next(one for one in manifests if one.kind == "Deployment" and not one.partial))
    del deployment.doc["spec"]["template"]["spec"]["securityContext"]
    (warning,) = server.complaints((deployment,))
    assert 'would violate PodSecurity "restricted' in warning


class Recorded(dict[str, str]):
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


def test_every_template_is_used() -> None:
    """No template is left out by all catalogs."""
    templates = Recorded(read_templates(None))
    for case in CASES:
        case.manifests(templates)
    assert set(templates) - templates.read == set()


def entries(value: Any) -> Iterator[Entry]:
    """Every entry of a catalog, itself included."""
    if isinstance(value, Entry):
        yield value
        for name in value.model_fields_set:
            yield from entries(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from entries(item)


def kinds_of_entry(annotation: Any) -> Iterator[type[Entry]]:
    """The classes of entries that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        yield annotation
    for part in get_args(annotation):
        yield from kinds_of_entry(part)


def choices(annotation: Any) -> Iterator[Any]:
    """The values that a type lists: those of a Literal or an enumeration."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from annotation
    for part in get_args(annotation):
        yield from choices(part)


def options() -> Iterator[str]:
    """Every key of models.yaml as `Entry.key`, and `Entry.key=value` where its values are listed."""
    todo: list[type[Entry]] = [Catalog]
    seen: set[type[Entry]] = set()
    while todo:
        entry = todo.pop()
        if entry in seen or entry in NOT_RENDERED:
            continue
        seen.add(entry)
        for name, field in entry.model_fields.items():
            yield f"{entry.__name__}.{name}"
            if f"{entry.__name__}.{name}" not in ARGUMENTS:
                for choice in choices(field.rebuild_annotation()):
                    yield f"{entry.__name__}.{name}={choice}"
            todo += kinds_of_entry(field.annotation)


def test_every_option_is_used() -> None:
    """No key of models.yaml, and no listed value of one, is left out by all catalogs."""
    used = set()
    for case in CASES:
        for entry in entries(read_catalog(case.file, case.profile).catalog):
            for name in entry.model_fields_set:
                used |= {f"{type(entry).__name__}.{name}", f"{type(entry).__name__}.{name}={getattr(entry, name)}"}
    assert set(options()) - used == set()


def test_kubectl_takes_the_kustomize_tree(every_kind: Cluster, tmp_path: Path) -> None:
    """`kubectl apply -k` of one model and of Llama Stack, as the ADR does it, once what they share is there."""
    command = [sys.executable, "-m", "wtsctl", "render", "-f", str(ROOT / "models.yaml"), "--kustomize", str(tmp_path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    kubectl = [str(every_kind.layout.state / "bin" / "kubectl"), f"--kubeconfig={every_kind.kubeconfig}"]
    tree = tmp_path / "kubernetes"
    subprocess.run([*kubectl, "apply", "-k", str(tree / "shared")], check=True, stdout=subprocess.DEVNULL)
    for folder in ("llama-serve/granite-8b", "llama-stack"):
        done = subprocess.run(
            [*kubectl, "apply", "-k", str(tree / folder), "--dry-run=server"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "created (server dry run)" in done.stdout
