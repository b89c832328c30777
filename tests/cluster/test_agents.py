"""The environment of agents on somebody else's Deployments, as a real API server merges it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.catalogs import SMALL, STACK, loaded
from tests.cluster.conftest import namespace
from tests.sandboxes import CONTROL_PLANE
from wtsctl.cli import app
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import DEPLOYMENT
from wtsctl.cluster.faults import ApiRefused
from wtsctl.commands.inputs import read_templates
from wtsctl.render.agents import FIELD_MANAGER
from wtsctl.render.manifest import render
from wtsctl.sandbox.layout import Layout

pytestmark = pytest.mark.cluster

THEIRS = "argocd"
KEY = "  role: code\n  apiKey: {name: granite-key, key: token}\n"


def part(space: str, text: str = SMALL + STACK) -> Any:
    """What is ours of the chat agent's Deployment, in the test's namespace."""
    manifests = render(loaded(text).catalog, read_templates(None), parts=True)
    (found,) = [one for one in manifests if one.partial]
    return {**found.doc, "metadata": {**found.doc["metadata"], "namespace": space}}


@pytest.fixture
def theirs(client: Client, space: str) -> Any:
    """The chat agent as its own people deployed it: scaled, with variables of theirs."""
    namespace(client, space)
    container = {
        "name": "chat-agent",
        "image": "example.com/chat:1",
        "env": [{"name": "LOG_LEVEL", "value": "debug"}],
        "resources": {"requests": {"cpu": "10m"}},
    }
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat-agent", "namespace": space, "labels": {"team": "workshop"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "chat"}},
            "template": {
                "metadata": {"labels": {"app": "chat"}},
                "spec": {"containers": [container, {"name": "proxy", "image": "example.com/proxy:1"}]},
            },
        },
    }
    objects.apply(client, DEPLOYMENT, document, manager=THEIRS)
    return document


def environment(item: Any) -> dict[str, Any]:
    """The variables of the agent's container: values, and references as they are."""
    container = item["spec"]["template"]["spec"]["containers"][0]
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def without_environment(item: Any) -> Any:
    """A Deployment's spec and labels but for the variables of the agent's container."""
    container, *others = item["spec"]["template"]["spec"]["containers"]
    pod = {**item["spec"]["template"]["spec"], "containers": [{**container, "env": []}, *others]}
    template = {**item["spec"]["template"], "spec": pod}
    return item["metadata"]["labels"], {**item["spec"], "template": template}


def test_only_the_environment_becomes_ours(client: Client, space: str, theirs: Any) -> None:  # noqa: ARG001
    """What the Deployment's own people set stays as it is and theirs; the variables are ours, and nothing else."""
    before = objects.get(client, DEPLOYMENT, space, "chat-agent")
    created, item = objects.apply(client, DEPLOYMENT, part(space), manager=FIELD_MANAGER)
    assert not created
    assert without_environment(item) == without_environment(before)
    found = environment(item)
    assert found["LOG_LEVEL"] == "debug"
    assert found["INFERENCE_MODEL"] == "llama-3b/llama-3b"
    (ours,) = [one for one in item["metadata"]["managedFields"] if one["manager"] == FIELD_MANAGER]
    spec = ours["fieldsV1"]
    for step in ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"chat-agent"}'):
        assert [key for key in spec if key not in {".", "f:name"}] == [step]
        spec = spec[step]
    assert set(spec) == {".", "f:name", "f:env"}
    assert {key.split('"')[3] for key in spec["f:env"]} == set(found) - {"LOG_LEVEL"}


def test_what_is_no_longer_wanted_goes(client: Client, space: str, theirs: Any) -> None:  # noqa: ARG001
    """A variable that the next environment does not have is taken away again; others' are not."""
    keyed = part(space, (SMALL + STACK).replace("  role: code\n", KEY))
    _, item = objects.apply(client, DEPLOYMENT, keyed, manager=FIELD_MANAGER)
    assert environment(item)["GRANITE_8B_API_KEY"] == {"secretKeyRef": {"name": "granite-key", "key": "token"}}
    _, item = objects.apply(client, DEPLOYMENT, part(space), manager=FIELD_MANAGER)
    assert "GRANITE_8B_API_KEY" not in environment(item)
    assert environment(item)["LOG_LEVEL"] == "debug"


def test_variable_of_somebody_else_is_a_conflict(client: Client, space: str, theirs: Any) -> None:
    """A variable that others set to something else is refused with its name, and nothing of the part is applied."""
    theirs["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "INFERENCE_MODEL", "value": "granite"})
    objects.apply(client, DEPLOYMENT, theirs, manager=THEIRS)
    with pytest.raises(ApiRefused) as refused:
        objects.apply(client, DEPLOYMENT, part(space), manager=FIELD_MANAGER)
    assert refused.value.status == 409
    assert "INFERENCE_MODEL" in str(refused.value)
    found = environment(objects.get(client, DEPLOYMENT, space, "chat-agent"))
    assert found == {"LOG_LEVEL": "debug", "INFERENCE_MODEL": "granite"}
    _, item = objects.apply(client, DEPLOYMENT, part(space), manager=FIELD_MANAGER, force=True)
    assert environment(item)["INFERENCE_MODEL"] == "llama-3b/llama-3b"


def test_part_of_nothing_is_refused(client: Client, space: str) -> None:
    """Where the Deployment is not there, no half of one is made."""
    namespace(client, space)
    with pytest.raises(ApiRefused, match="selector"):
        objects.apply(client, DEPLOYMENT, part(space), manager=FIELD_MANAGER)
    assert objects.list_all(client, DEPLOYMENT, space)[0] == []


def test_misnamed_container_is_refused(client: Client, space: str, theirs: Any) -> None:  # noqa: ARG001
    """A container that the Deployment does not have is not added to it: it would have no image."""
    wrong = part(space)
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = "chat"
    with pytest.raises(ApiRefused, match="image"):
        objects.apply(client, DEPLOYMENT, wrong, manager=FIELD_MANAGER)


@pytest.fixture
def kubectl(control_plane: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs kubectl with all rights."""

    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        program = str(Layout.of(CONTROL_PLANE).state / "bin/kubectl")
        command = [program, f"--kubeconfig={control_plane}", *words]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    return run


def client_side(kubectl: Callable[..., subprocess.CompletedProcess[str]], document: Any) -> None:
    """The same Deployment as `kubectl apply` without `--server-side` makes it, its annotation among it."""
    done = kubectl("apply", "-f", "-", text=json.dumps(document))
    assert (done.returncode, done.stderr) == (0, "")


def managers(item: Any) -> dict[str, str]:
    """Who holds which fields of an object, as text to compare; not the controller's own, which it may set any time."""
    entries = item["metadata"]["managedFields"]
    return {one["manager"]: json.dumps(one["fieldsV1"], sort_keys=True) for one in entries if "subresource" not in one}


def rendered(space: str, tmp_path: Path, *options: str) -> str:
    """What `render --agents` writes on stdout for the test's namespace."""
    file = tmp_path / "models.yaml"
    file.write_text((SMALL + STACK).replace("namespace: workshop", f"namespace: {space}"))
    done = CliRunner().invoke(app, ["render", "--agents", "-f", str(file), *options])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def patched(
    kubectl: Callable[..., subprocess.CompletedProcess[str]], space: str, tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """The loop of docs/how-to/agents.md, of which there is one turn here."""
    (part_file,) = rendered(space, tmp_path, "--output-dir", str(tmp_path / "parts")).splitlines()
    how = ("--type=strategic", f"--field-manager={FIELD_MANAGER}")
    return kubectl("patch", *how, "-f", part_file, f"--patch-file={part_file}")


def made_anew(client: Client, space: str, kubectl: Callable[..., Any], theirs: Any) -> None:
    """Have client-side apply make the Deployment instead of whoever made it."""
    # In the background, so that it is gone with the answer.
    client.request("DELETE", DEPLOYMENT.path(space, "chat-agent"))
    client_side(kubectl, theirs)


def test_documented_loop(
    client: Client,
    space: str,
    theirs: Any,
    tmp_path: Path,
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Patching again and again leaves a Deployment of client-side apply to those who made it, and they leave ours."""
    made_anew(client, space, kubectl, theirs)
    before = objects.get(client, DEPLOYMENT, space, "chat-agent")
    generations = []
    for _ in range(2):
        done = patched(kubectl, space, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "deployment.apps/chat-agent patched\n"
        item = objects.get(client, DEPLOYMENT, space, "chat-agent")
        assert without_environment(item) == without_environment(before)
        assert environment(item)["INFERENCE_MODEL"] == "llama-3b/llama-3b"
        assert environment(item)["LOG_LEVEL"] == "debug"
        assert {**managers(item), FIELD_MANAGER: ""} == {**managers(before), FIELD_MANAGER: ""}
        generations.append(item["metadata"]["generation"])
    assert generations == [before["metadata"]["generation"] + 1] * 2
    theirs["spec"]["replicas"] = 2
    client_side(kubectl, theirs)
    after = objects.get(client, DEPLOYMENT, space, "chat-agent")
    assert after["spec"]["replicas"] == 2
    assert environment(after) == environment(item)


def test_documented_loop_needs_the_deployment(
    client: Client, space: str, tmp_path: Path, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Where the Deployment is not there, kubectl says so and makes nothing."""
    namespace(client, space)
    done = patched(kubectl, space, tmp_path)
    assert done.returncode == 1
    assert 'deployments.apps "chat-agent" not found' in done.stderr
    assert objects.list_all(client, DEPLOYMENT, space)[0] == []


def test_documented_pipe(
    client: Client,
    space: str,
    theirs: Any,  # noqa: ARG001
    tmp_path: Path,
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """`render --agents` into kubectl's server-side apply does, twice, what docs/how-to/agents.md says of it."""
    text = rendered(space, tmp_path)
    for _ in range(2):
        done = kubectl("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-", text=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "deployment.apps/chat-agent serverside-applied\n"
        found = environment(objects.get(client, DEPLOYMENT, space, "chat-agent"))
        assert (found["LOG_LEVEL"], found["INFERENCE_MODEL"]) == ("debug", "llama-3b/llama-3b")


def test_documented_pipe_takes_over_after_client_side_apply(
    client: Client,
    space: str,
    theirs: Any,
    tmp_path: Path,
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """What the page warns of: kubectl then counts all of the Deployment as ours, and its next apply is refused."""
    made_anew(client, space, kubectl, theirs)
    text = rendered(space, tmp_path)
    apply = ("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-")
    assert kubectl(*apply, text=text).returncode == 0
    assert "kubectl-client-side-apply" not in managers(objects.get(client, DEPLOYMENT, space, "chat-agent"))
    again = kubectl(*apply, text=text)
    assert again.returncode == 1
    assert "spec.selector: Required value" in again.stderr
