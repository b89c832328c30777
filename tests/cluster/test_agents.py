"""The environment of agents on somebody else's Deployments, as a real API server merges it."""

from __future__ import annotations

import subprocess
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


def test_documented_pipe(control_plane: Path, client: Client, space: str, theirs: Any, tmp_path: Path) -> None:  # noqa: ARG001
    """`render --agents` into kubectl's server-side apply does what docs/how-to/agents.md says."""
    file = tmp_path / "models.yaml"
    file.write_text((SMALL + STACK).replace("namespace: workshop", f"namespace: {space}"))
    rendered = CliRunner().invoke(app, ["render", "--agents", "-f", str(file)])
    assert rendered.exit_code == 0
    apply = ("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-")
    done = subprocess.run(
        [str(Layout.of(CONTROL_PLANE).state / "bin/kubectl"), f"--kubeconfig={control_plane}", *apply],
        input=rendered.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "deployment.apps/chat-agent serverside-applied\n"
    found = environment(objects.get(client, DEPLOYMENT, space, "chat-agent"))
    assert (found["LOG_LEVEL"], found["INFERENCE_MODEL"]) == ("debug", "llama-3b/llama-3b")
