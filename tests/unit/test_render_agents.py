"""Parts of somebody else's objects: left out unless asked for, and components of the kustomize tree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.catalogs import SMALL, STACK
from tests.unit.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
MODELS = ["-f", str(ROOT / "models.yaml")]
LEFT_OUT = "6 agents have no image: the environment of somebody else's Deployment is left out; see --agents\n"
THEIRS = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat-agent}
spec:
  selector: {matchLabels: {app: chat}}
  template:
    metadata: {labels: {app: chat}}
    spec:
      containers:
      - name: chat-agent
        image: example.com/chat:1
        env: [{name: INFERENCE_MODEL, value: old}, {name: THEIRS, value: kept}]
"""


def documents(text: str) -> list[Any]:
    """The objects of a YAML stream."""
    return [made for made in yaml.safe_load_all(text) if made]


def write(folder: Path, name: str, text: str) -> None:
    """One file of a folder that is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_parts_are_left_out_and_said_so(wtsctl: Run, tmp_path: Path) -> None:
    """Neither stream nor folder nor JSON has a part of a Deployment; stderr says how many and how to get them."""
    done = wtsctl("render", *MODELS, "--no-color")
    assert (done.exit_code, done.stderr) == (0, LEFT_OUT)
    assert not [made for made in documents(done.stdout) if made["metadata"].get("namespace") == "workshop-system"]
    assert wtsctl("render", *MODELS, "-q").stderr == ""
    entries = json.loads(wtsctl("render", *MODELS, "-o", "json").stdout)["data"]["manifests"]
    assert not [entry for entry in entries if entry["stage"] == "agents"]
    assert wtsctl("render", *MODELS, "--output-dir", "out", "--no-color").stderr == LEFT_OUT
    assert not (tmp_path / "out/workshop-system").exists()


def test_parts_alone(wtsctl: Run, tmp_path: Path) -> None:
    """`--agents` gives the environments and nothing else, as a stream, as JSON and as files beside the others."""
    done = wtsctl("render", *MODELS, "--agents")
    assert (done.exit_code, done.stderr) == (0, "")
    made = documents(done.stdout)
    assert [one["metadata"]["name"] for one in made] == [
        "workshop-chat-agent", "template-converter-agent", "content-creator-agent", "source-manager-agent",
        "research-validation-agent", "documentation-pipeline-agent",
    ]  # fmt: skip
    for one in made:
        # Nothing that would make it ours, and nothing but the environment of one container.
        assert set(one["metadata"]) == {"name", "namespace"}
        assert list(one["spec"]) == ["template"]
        (container,) = one["spec"]["template"]["spec"]["containers"]
        assert set(container) == {"name", "env"}
    entries = json.loads(wtsctl("render", *MODELS, "--agents", "-o", "json").stdout)["data"]["manifests"]
    assert [entry["object"] for entry in entries] == made
    wtsctl("render", *MODELS, "--output-dir", "all")
    wtsctl("render", *MODELS, "--agents", "--output-dir", "parts")
    assert len(list((tmp_path / "parts/workshop-system").iterdir())) == 6


def test_what_excludes_agents(wtsctl: Run) -> None:
    """Models are no agents, the tree has them anyway, and where every agent has an image there are no parts."""
    for arguments, code, what in (
        (["granite-8b"], 2, "--agents and MODEL exclude each other"),
        (["--kustomize", "out"], 2, "--agents and --kustomize exclude each other"),
        (["-f", "whole.yaml"], 9, "no agent's Deployment is somebody else's"),
    ):
        Path("whole.yaml").write_text(
            (SMALL + STACK).replace("- name: chat-agent\n", "- name: chat-agent\n  image: x:1\n")
        )
        done = wtsctl("render", *(arguments if "-f" in arguments else [*MODELS, *arguments]), "--agents")
        assert (done.exit_code, done.stdout) == (code, "")
        assert what in done.stderr


def test_tree_has_components_beside_it(wtsctl: Run, tmp_path: Path, kubectl: str) -> None:
    """The whole tree builds without them, and a component patches the Deployment of whoever includes it."""
    write(tmp_path, "models.yaml", SMALL + STACK)
    done = wtsctl("render", "--kustomize", "out", "--no-color")
    assert (done.exit_code, done.stderr) == (0, "")

    def build(folder: Path) -> list[Any]:
        built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
        return documents(built.stdout)

    tree = tmp_path / "out/kubernetes"
    assert {one["metadata"].get("namespace") for one in build(tree)} == {None, "llm", "llama-stack"}
    # Their base sets no namespace; their overlay does, before or after the component is laid over it.
    write(tmp_path / "theirs", "deployment.yaml", THEIRS)
    write(tmp_path / "theirs", "kustomization.yaml", "resources: [deployment.yaml]\n")
    component = "components: [../out/kubernetes/workshop/chat-agent]\n"
    for namespace in ("", "namespace: workshop\n", "namespace: another\n"):
        write(tmp_path / "overlay", "kustomization.yaml", f"resources: [../theirs]\n{component}{namespace}")
        (built,) = build(tmp_path / "overlay")
        (container,) = built["spec"]["template"]["spec"]["containers"]
        environment = {one["name"]: one.get("value") for one in container["env"]}
        assert container["image"] == "example.com/chat:1"
        assert environment["INFERENCE_MODEL"] == "llama-3b/llama-3b"
        assert environment["THEIRS"] == "kept"
        assert built["metadata"]["name"] == "chat-agent"


def test_component_needs_what_it_patches(wtsctl: Run, tmp_path: Path, kubectl: str) -> None:
    """Alone a component builds nothing that could be applied, so that no half of a Deployment gets anywhere."""
    write(tmp_path, "models.yaml", SMALL + STACK)
    wtsctl("render", "--kustomize", "out")
    folder = tmp_path / "out/kubernetes/workshop/chat-agent"
    built = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert built.stdout == ""
    first = (folder / "kustomization.yaml").read_text().splitlines()[1]
    assert (
        first == "# A component for your own kustomization, whose Deployments it patches; nothing to apply by itself."
    )
