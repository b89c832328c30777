"""A real API server takes what `wtsctl render` prints, and its Pod Security admission has nothing to say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render.manifest import Manifest, render
from wtsctl.render.yamltext import dump

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]


class Kubectl:
    """kubectl on the test's cluster."""

    def __init__(self, program: str, kubeconfig: Path) -> None:
        self._command = (program, f"--kubeconfig={kubeconfig}")

    def __call__(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl with `text` on its standard input."""
        return subprocess.run(
            [*self._command, *arguments], input=text, capture_output=True, text=True, check=False, timeout=120
        )


@pytest.fixture
def kubectl(control_plane: Path) -> Kubectl:
    """Kubectl with the sandbox's kubeconfig."""
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")
    return Kubectl(program, control_plane)


@pytest.fixture
def restricted(kubectl: Kubectl) -> Iterator[dict[str, str]]:
    """Stand-ins for the workshop's namespaces, which refuse and report what is not `restricted`."""
    names = {name: f"{name}-{uuid4().hex[:8]}" for name in ("llama-serve", "llama-stack")}
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    for name in names.values():
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": levels}}
        made = kubectl("create", "-f", "-", text=yaml.safe_dump(namespace))
        assert made.returncode == 0, made.stderr
    yield names
    kubectl("delete", "namespace", "--wait=false", *names.values())


def known(kubectl: Kubectl, manifests: tuple[Manifest, ...]) -> list[Manifest]:
    """The manifests of kinds that this API server serves."""
    listed = kubectl("api-resources", "--no-headers").stdout.splitlines()
    kinds = {tuple(line.split()[-3::2]) for line in listed}
    assert ("apps/v1", "Deployment") in kinds
    return [manifest for manifest in manifests if (manifest.api_version, manifest.kind) in kinds]


@pytest.mark.parametrize("profile", [None, "sandbox"])
def test_api_server_accepts_every_kind_it_knows(
    kubectl: Kubectl, restricted: dict[str, str], profile: str | None
) -> None:
    """A server-side dry run with strict validation takes each object, and warns of nothing."""
    catalog = read_catalog(ROOT / "models.yaml", profile).catalog
    manifests = known(kubectl, render(catalog, read_templates(None)))
    assert {manifest.kind for manifest in manifests} >= {"Namespace", "Deployment", "Service"}
    text = dump(manifest.doc for manifest in manifests if manifest.kind != "Namespace")
    for name, stand_in in restricted.items():
        text = text.replace(f"namespace: {name}\n", f"namespace: {stand_in}\n")
    dry_run = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    done = kubectl(*dry_run, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("serverside-applied") == text.count("\nkind: ")
    namespaces = dump(manifest.doc for manifest in manifests if manifest.kind == "Namespace")
    done = kubectl(*dry_run, text=namespaces)
    assert (done.returncode, done.stderr) == (0, "")


def test_admission_would_have_said_something(kubectl: Kubectl, restricted: dict[str, str]) -> None:
    """The silence above means something: the same Deployment without its securityContext is warned of."""
    catalog = read_catalog(ROOT / "models.yaml", None).catalog
    deployment = next(made for made in render(catalog, read_templates(None)) if made.kind == "Deployment")
    deployment.doc["metadata"]["namespace"] = restricted["llama-serve"]
    del deployment.doc["spec"]["template"]["spec"]["securityContext"]
    done = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", text=dump([deployment.doc]))
    assert 'would violate PodSecurity "restricted' in done.stderr
