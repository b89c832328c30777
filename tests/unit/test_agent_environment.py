"""The environment of the agents: ids that exist, at endpoints that know them, in a table that lists them all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.catalogs import SMALL, STACK, changed, complaint, loaded
from wtsctl.catalog.agent_environment import VARIABLES, api_key_variables, environment
from wtsctl.catalog.pods import SecretReference
from wtsctl.commands.inputs import read_catalog
from wtsctl.render.agents import variables

ROOT = Path(__file__).resolve().parents[2]
LLAMA_STACK = "http://llamastack-server.llama-stack.svc.cluster.local:8321"
GRANITE_KEY = ("  role: code\n", "  role: code\n  apiKey: {name: granite-key, key: token}\n")
DIRECT = ("  via: llama-stack\n", "  via: direct\n")
DISABLED = ("llamaStack:\n", "llamaStack:\n  enabled: false\n")


def of(text: str, agent: int = 0) -> dict[str, Any]:
    """The environment of one agent of a catalog's text."""
    read = loaded(text)
    return dict(environment(read.catalog, read.catalog.agents[agent], read.workloads))


def test_through_llama_stack() -> None:
    """An agent behind Llama Stack has its ids and its address; the model beside it is asked directly."""
    assert of(SMALL + STACK) == {
        "LLAMA_STACK_ENDPOINT": LLAMA_STACK,
        "INFERENCE_MODEL": "llama-3b/llama-3b",
        "INFERENCE_ENDPOINT": f"{LLAMA_STACK}/v1",
        "RAG_ENABLED": "true",
        "SAFETY_ENABLED": "true",
        "SAFETY_SHIELD": "llama-guard",
        "SAFETY_MODEL": "llama-guard/llama-guard",
        "SAFETY_ENDPOINT": f"{LLAMA_STACK}/v1",
        "FALLBACK_MODEL": "granite-8b",
        "FALLBACK_ENDPOINT": "http://granite-8b.llm.svc.cluster.local:8000/v1",
        "MODEL_SELECTION": '{"conversation": "llama-3b/llama-3b"}',
        "MODEL_ENDPOINTS": json.dumps(
            {
                "llama-3b/llama-3b": f"{LLAMA_STACK}/v1",
                "granite-8b": "http://granite-8b.llm.svc.cluster.local:8000/v1",
                "llama-guard/llama-guard": f"{LLAMA_STACK}/v1",
            }
        ),
        "MODEL_API_KEYS": "{}",
    }


def test_directly() -> None:
    """A direct agent has served names at the models' own servers, each with its runtime's prefix; Llama Stack stays."""
    found = of(changed(DIRECT))
    assert (found["INFERENCE_MODEL"], found["SAFETY_MODEL"]) == ("llama-3b", "llama-guard")
    assert found["INFERENCE_ENDPOINT"] == "http://llama-3b-predictor.llm.svc.cluster.local:80/openai/v1"
    assert json.loads(found["MODEL_SELECTION"]) == {"conversation": "llama-3b"}
    # What is retrieved comes from there, and the shield is there to be asked.
    assert (found["LLAMA_STACK_ENDPOINT"], found["RAG_ENABLED"]) == (LLAMA_STACK, "true")
    assert found["SAFETY_SHIELD"] == "llama-guard"


def test_without_llama_stack() -> None:
    """Where Llama Stack is disabled, its own ids and addresses are nowhere, and models are asked directly."""
    found = of(changed(DISABLED))
    assert not [value for value in found.values() if "llamastack" in value or "llama-3b/llama-3b" in value]
    assert (found["LLAMA_STACK_ENDPOINT"], found["SAFETY_SHIELD"], found["RAG_ENABLED"]) == ("", "", "false")
    assert (found["INFERENCE_MODEL"], found["SAFETY_ENABLED"]) == ("llama-3b", "true")
    assert found["SAFETY_ENDPOINT"] == "http://llama-guard.llm.svc.cluster.local:8000/v1"


def test_old_llama_stack_has_its_api_elsewhere() -> None:
    """0.2 serves the OpenAI-compatible API below its own; the ids are the same."""
    found = of(changed(("  namespace: llama-stack\n", '  namespace: llama-stack\n  version: "0.2.23"\n')))
    assert found["INFERENCE_ENDPOINT"] == f"{LLAMA_STACK}/v1/openai/v1"
    assert (found["LLAMA_STACK_ENDPOINT"], found["INFERENCE_MODEL"]) == (LLAMA_STACK, "llama-3b/llama-3b")


def test_keys_of_models_asked_directly() -> None:
    """The key of a model that an agent asks itself comes from the Secret, under a name that MODEL_API_KEYS tells."""
    found = of(changed(GRANITE_KEY))
    assert json.loads(found["MODEL_API_KEYS"]) == {"granite-8b": "GRANITE_8B_API_KEY"}
    secret = found["GRANITE_8B_API_KEY"]
    assert isinstance(secret, SecretReference)
    assert (secret.name, secret.key) == ("granite-key", "token")
    # Through Llama Stack, which has the key, nobody else needs it.
    behind = of(changed(GRANITE_KEY, ("models: [llama-3b]", "models: [llama-3b, granite]")))
    assert behind["MODEL_API_KEYS"] == "{}"
    assert set(behind) == set(VARIABLES)


def test_variables_of_keys_differ() -> None:
    """Models whose names differ in what a variable cannot have still have variables of their own."""
    other = SMALL[SMALL.index("- name: granite-8b") : SMALL.index("- name: llama-3b")].replace("aliases: [granite]", "")
    other = other.replace("granite-8b\n", "granite.8b\n  path: other\n  service: {name: other}\n", 1)
    read = loaded(changed(GRANITE_KEY, text=SMALL) + other.replace(*GRANITE_KEY))
    named = api_key_variables(read.workloads)
    assert named == {"granite-8b": "GRANITE_8B_API_KEY", "granite.8b": "GRANITE_8B_2_API_KEY"}
    # Llama Stack replaces no other names in its configuration.
    assert all(re.fullmatch("[A-Z0-9_]+", name) for name in named.values())


@pytest.mark.parametrize("profile", [None, "sandbox"])
def test_every_id_has_an_endpoint(profile: str | None) -> None:
    """Whatever id an agent of the workshop finds in its environment, MODEL_ENDPOINTS says where it is known."""
    read = read_catalog(ROOT / "models.yaml", profile)
    for agent in read.catalog.agents:
        found = dict(environment(read.catalog, agent, read.workloads))
        assert list(found) == list(VARIABLES)
        endpoints = json.loads(str(found["MODEL_ENDPOINTS"]))
        ids = {found[name] for name in ("INFERENCE_MODEL", "FALLBACK_MODEL", "SAFETY_MODEL")} - {""}
        assert ids | set(json.loads(str(found["MODEL_SELECTION"])).values()) == set(endpoints)
        for name, endpoint in (("INFERENCE_MODEL", "INFERENCE_ENDPOINT"), ("SAFETY_MODEL", "SAFETY_ENDPOINT")):
            assert endpoints[found[name]] == found[endpoint]


def test_further_variables_come_last_and_replace_nothing() -> None:
    """`env` adds to what follows from models.yaml, and cannot contradict it or carry a key in plain text."""
    assert list(of(changed(("  rag: true\n", "  rag: true\n  env: {LOG_LEVEL: debug}\n"))))[-1] == "LOG_LEVEL"
    for name in ("INFERENCE_MODEL", "TAVILY_API_KEY"):
        assert f"agents[0].env.{name}: '{name}' follows from the rest of models.yaml" in complaint(
            changed(("  rag: true\n", f"  rag: true\n  env: {{{name}: x}}\n"))
        )


def test_page_lists_the_variables() -> None:
    """docs/reference/agent-environment.md has each variable with its meaning, in this order, and no other."""
    page = (ROOT / "docs/reference/agent-environment.md").read_text()
    assert re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", page, re.MULTILINE) == list(VARIABLES.items())


def test_example_of_the_page_is_the_chat_agent() -> None:
    """The page's example is what the workshop's models.yaml gives; only its long lines are cut."""
    read = read_catalog(ROOT / "models.yaml", None)
    found = environment(read.catalog, read.catalog.agents[0], read.workloads)
    example = (ROOT / "docs/reference/agent-environment.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    lines = dict(line.split(": ", 1) for line in example.splitlines())
    assert list(lines) == list(found)
    for name, text in lines.items():
        start = text.strip("'\"").partition("…")[0]
        assert str(found[name]).startswith(start)
        assert "…" in text or str(found[name]) == start


def test_without_image_there_is_nothing_to_scale() -> None:
    """Keys of a whole Deployment have no effect on somebody else's."""
    for key, value in (
        ("replicas", "2"),
        ("port", "80"),
        ("resources", "{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}"),
    ):
        text = changed(("  rag: true\n", f"  rag: true\n  {key}: {value}\n"))
        assert f"agents[0].{key}: has no effect without `image`" in complaint(text)


def test_agents_share_a_folder_only_in_part() -> None:
    """Environments of several agents may lie in one folder of the tree; a model's or a whole agent's is its own."""
    second = STACK[STACK.index("- name: chat-agent") :].replace("chat-agent", "other-agent")
    both = (SMALL + STACK + second).replace("  rag: true\n", "  rag: true\n  path: agents\n")
    assert loaded(both).catalog.agents
    with_image = both.replace("name: other-agent\n", "name: other-agent\n  image: x:1\n")
    assert "its folder agents is already that of" in complaint(with_image)
    assert "its folder llama-stack is already that of" in complaint(both.replace("path: agents", "path: llama-stack"))


def test_whole_agent_has_what_a_pod_needs() -> None:
    """What is not said of an agent has a default; the container has its name, or the one that is given."""
    read = loaded(changed(("- name: chat-agent\n", "- name: chat-agent\n  image: x:1\n")))
    named = variables(read.catalog, read.catalog.agents[0], read.workloads)
    assert named["resources"] == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    assert (named["agent"]["container"], named["agent"]["port"]) == ("chat-agent", 8080)
