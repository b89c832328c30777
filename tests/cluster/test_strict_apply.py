"""What is rendered, tried on a real API server that knows every kind: strict validation and admission.

Each file in `tests/cluster/matrix` is a catalog, and so is the project's models.yaml; each is rendered as it is and
with every profile it has, for a cluster that serves everything. To add one, drop `NAME.yaml` into the folder: a whole
models.yaml, small, about one runtime or a few options that belong together, in any namespaces. It has to be accepted
without a warning where Pod Security's `restricted` is enforced. Where an agent's Deployment is somebody else's, it
is made before; so is every namespace. Nothing else is: these applies are dry runs, and what they refer to need not be.
`test_deploy_everything.py` deploys the same files, under other names, so let names of namespaces and of objects of the
whole cluster begin with `matrix-`.

`test_every_template_is_used` and `test_every_option_is_used` say what the catalogs leave out.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest

from tests.cluster.every_option import CASES, ROOT, Case, Server, entries
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.entry import Entry
from wtsctl.catalog.smoke import Assertion, Prompt
from wtsctl.commands.inputs import read_templates

if TYPE_CHECKING:
    from tests.sandboxes import Cluster

pytestmark = pytest.mark.cluster

# What only `smoke-test` reads.
NOT_RENDERED = frozenset({Prompt, Assertion})
# Values that are handed on to the server as they are, or to whoever applies a patch.
ARGUMENTS = frozenset({"Model.dtype", "Model.kv_cache_dtype", "Lora.max_rank"})


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


def test_every_template_is_used() -> None:
    """No template is left out by all catalogs."""
    assert set(read_templates(None)) - {name for case in CASES for name in case.templates()} == set()


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
        for entry in entries(case.catalog()):
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
