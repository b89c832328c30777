"""Llama Stack's configuration: what its own classes read of it, and that it leads where the agents are sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.catalogs import SMALL, STACK, changed, complaint, loaded
from wtsctl.commands.inputs import read_catalog, read_templates
from wtsctl.render.manifest import Manifest, render

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/golden/cases"
# What releases of Llama Stack read, recorded from their own classes by llama_stack/record.py.
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "llama_stack").glob("*.json")}
OLD = ("  namespace: llama-stack\n", '  namespace: llama-stack\n  version: "0.2.23"\n')
KEYS = (
    "  role: code\n",
    "  role: code\n  apiKey: {name: granite-key, key: token}\n",
)


def made(text: str) -> dict[str, Manifest]:
    """The manifests of a catalog's text by identity."""
    return {manifest.identity: manifest for manifest in render(loaded(text).catalog, read_templates(None))}


def configuration(manifests: dict[str, Manifest]) -> tuple[str, Any]:
    """The name of the file in Llama Stack's ConfigMap, and what is in it."""
    config = next(one for one in manifests.values() if one.kind == "ConfigMap" and one.name.endswith("-config"))
    ((name, text),) = config.doc["data"].items()
    return name, yaml.safe_load(text)


def unread(config: Any, release: str) -> list[str]:
    """What `release` does not read in a configuration, or reads otherwise."""
    recorded = SCHEMAS[release]
    found = list(Draft202012Validator(recorded["config"]).iter_errors(config))
    unknown: list[str] = []
    for api, providers in config["providers"].items():
        for provider in providers:
            schema = recorded["providers"].get(f"{api} {provider['provider_type']}")
            if schema is None:
                unknown.append(f"{provider['provider_type']} is no provider of {api}")
            else:
                found += Draft202012Validator(schema).iter_errors(provider.get("config", {}))
    return [f"{'.'.join(map(str, problem.absolute_path))}: {problem.message}" for problem in found] + unknown


def variants() -> list[Any]:
    """Catalogs with a Llama Stack, each with the release whose form it is written in."""
    texts = {"small": (SMALL + STACK, "0.7.3"), "small, old": (changed(OLD), "0.2.23")}
    for name in ("llama-stack-bare", "llama-stack-run-yaml", "llama-stack-operator", "agents"):
        text = (CASES / name / "models.yaml").read_text()
        texts[name] = (text, "0.2.23" if "version: 0.2" in text else "0.7.3")
    texts["workshop"] = ((ROOT / "models.yaml").read_text(), "0.7.3")
    return [pytest.param(*what, id=name) for name, what in texts.items()]


@pytest.mark.parametrize(("text", "release"), variants())
def test_configuration_is_what_the_release_reads(text: str, release: str) -> None:
    """Each key of a rendered configuration is one that the release's own classes read, with a value they take."""
    _, config = configuration(made(text))
    assert unread(config, release) == []


def test_other_form_would_be_noticed() -> None:
    """The schemas tell the forms apart: 0.2's configuration is wrong for 0.7, and a misspelt key for either."""
    _, old = configuration(made(changed(OLD)))
    problems = " ".join(unread(old, "0.7.3"))
    assert "'url' was unexpected" in problems
    assert "inline::rag-runtime is no provider of tool_runtime" in problems
    assert "'metadata_store'" in problems
    _, new = configuration(made(SMALL + STACK))
    new["providers"]["inference"][0]["config"]["url"] = new["providers"]["inference"][0]["config"].pop("base_url")
    assert [problem for problem in unread(new, "0.7.3") if "'url' was unexpected" in problem]
    del new["providers"]["vector_io"][0]["config"]["persistence"]
    assert [problem for problem in unread(new, "0.7.3") if "'persistence' is a required property" in problem]


def test_seed_form_has_its_own_file() -> None:
    """0.2 is started on a run.yaml with the APIs of that time, 0.7 on a config.yaml."""
    manifests = made(changed(OLD))
    name, config = configuration(manifests)
    assert (name, config["version"], config["image_name"]) == ("run.yaml", "2", "small")
    assert {"agents", "inference", "safety", "vector_io", "tool_runtime"} < set(config["apis"])
    server = manifests["llama-stack/Deployment/llamastack-server"].doc["spec"]["template"]["spec"]["containers"][0]
    assert server["command"] == ["llama", "stack", "run", "/etc/llama-stack/run.yaml", "--port", "8321"]
    assert configuration(made(SMALL + STACK))[0] == "config.yaml"


def test_old_release_answers_to_the_ids_of_both_times() -> None:
    """Under 0.2 a model has the id of 0.7 and its aliases, and the guard the name that the shield asks for."""
    _, config = configuration(made(changed(OLD, ("models: [llama-3b]", "models: [llama-3b, granite]"))))
    ids = {(one["model_id"], one["provider_model_id"]) for one in config["models"] if one["model_type"] == "llm"}
    assert ids == {
        ("llama-3b/llama-3b", "llama-3b"),
        ("granite-8b/granite-8b", "granite-8b"),
        ("granite", "granite-8b"),
        ("llama-guard/llama-guard", "llama-guard"),
        ("meta-llama/Llama-Guard-3-8B", "llama-guard"),
    }
    assert config["shields"][0]["provider_shield_id"] == "meta-llama/Llama-Guard-3-8B"


@pytest.mark.parametrize("old", [False, True], ids=["0.7", "0.2"])
def test_api_keys_come_from_the_environment(old: bool) -> None:
    """A model's key is a variable of the server, from a Secret; the configuration only names the variable."""
    changes = [KEYS, ("models: [llama-3b]", "models: [llama-3b, granite-8b]")]
    manifests = made(changed(*changes, *([OLD] if old else [])))
    _, config = configuration(manifests)
    tokens = {one["provider_id"]: one["config"].get("api_token") for one in config["providers"]["inference"]}
    assert tokens["granite-8b"] == "${env.GRANITE_8B_API_KEY}"
    assert tokens["llama-3b"] == "none"
    server = manifests["llama-stack/Deployment/llamastack-server"].doc["spec"]["template"]["spec"]["containers"][0]
    (key,) = [one for one in server["env"] if one["name"] == "GRANITE_8B_API_KEY"]
    assert key == {
        "name": "GRANITE_8B_API_KEY",
        "valueFrom": {"secretKeyRef": {"name": "granite-key", "key": "token"}},
    }


def test_milvus_server_takes_the_place_of_the_file() -> None:
    """With `uri` the provider is the remote one, its token a variable; nothing of the inline one is left."""
    store = "vectorStore: {type: milvus, uri: 'http://milvus:19530', token: {name: milvus, key: token}}"
    manifests = made(changed(("vectorStore: {type: milvus}", store)))
    (milvus,) = configuration(manifests)[1]["providers"]["vector_io"]
    assert milvus["provider_type"] == "remote::milvus"
    assert (milvus["config"]["uri"], milvus["config"]["token"]) == ("http://milvus:19530", "${env.MILVUS_TOKEN}")
    assert "db_path" not in milvus["config"]
    server = manifests["llama-stack/Deployment/llamastack-server"].doc["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "MILVUS_TOKEN", "valueFrom": {"secretKeyRef": {"name": "milvus", "key": "token"}}} in server["env"]
    without = changed(("vectorStore: {type: milvus}", "vectorStore: {type: milvus, uri: 'http://milvus:19530'}"))
    assert configuration(made(without))[1]["providers"]["vector_io"][0]["config"]["token"] is None


def test_every_variable_named_in_a_configuration_is_given() -> None:
    """The server would not start over a `${env.NAME}` that it does not have."""
    for case in ("llama-stack-run-yaml", "llama-stack-operator"):
        manifests = {
            one.identity: one
            for one in render(read_catalog(CASES / case / "models.yaml", None).catalog, read_templates(None))
        }
        named = set(re.findall(r"\$\{env\.([^}]*)\}", json.dumps(configuration(manifests)[1])))
        root = next(
            one.doc
            for one in manifests.values()
            if one.kind in {"LlamaStackDistribution", "Deployment"} and one.name == "llamastack-server"
        )
        spec = root["spec"]
        container = spec["server"]["containerSpec"] if "server" in spec else spec["template"]["spec"]["containers"][0]
        assert named
        assert named <= {one["name"] for one in container["env"]}


def test_operator_gets_the_configuration_and_our_address() -> None:
    """The operator's object names our ConfigMap; our Service has the usual name and finds the operator's pods."""
    manifests = made(
        changed(("  namespace: llama-stack\n", "  namespace: llama-stack\n  kind: LlamaStackDistribution\n"))
    )
    assert not [one for one in manifests if re.search(r"llama-stack/(Deployment|PersistentVolumeClaim)/", one)]
    server = manifests["llama-stack/LlamaStackDistribution/llamastack-server"].doc["spec"]["server"]
    assert server["userConfig"] == {"configMapName": "llamastack-server-config"}
    assert list(manifests["llama-stack/ConfigMap/llamastack-server-config"].doc["data"]) == ["config.yaml"]
    assert server["storage"] == {"size": "20Gi", "mountPath": "/.llama"}
    service = manifests["llama-stack/Service/llamastack-server"].doc["spec"]
    assert service["selector"] == {"app": "llama-stack", "app.kubernetes.io/instance": "llamastack-server"}
    assert service["ports"][0]["targetPort"] == server["containerSpec"]["port"]


def test_operator_starts_the_old_release_on_the_same_file() -> None:
    """The operator's start script reads config.yaml whatever the release, so 0.2's form has that name there."""
    operator = "  namespace: llama-stack\n  kind: LlamaStackDistribution\n"
    name, config = configuration(made(changed(("  namespace: llama-stack\n", operator + "  version: '0.2.23'\n"))))
    assert (name, config["version"]) == ("config.yaml", "2")


def test_second_namespace_is_another_name_for_the_same_server() -> None:
    """`alsoIn` makes a Service without pods in another namespace, and that namespace."""
    manifests = made(changed(("  namespace: llama-stack\n", "  namespace: llama-stack\n  alsoIn: [llama-serve]\n")))
    alias = manifests["llama-serve/Service/llamastack-server"].doc["spec"]
    assert alias["type"] == "ExternalName"
    assert alias["externalName"] == "llamastack-server.llama-stack.svc.cluster.local"
    assert "selector" not in alias
    assert "Namespace/llama-serve" in manifests


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [("alsoIn", "[llama-stack]")],
            "alsoIn[0]: expected another namespace, but 'llama-stack' is its own namespace",
        ),
        ([("alsoIn", "[a, b, a]")], "alsoIn[2]: expected another namespace, but 'a' is alsoIn[0] already"),
        ([("alsoIn", "[llm]"), ("service", "{name: granite-8b}")], "its Service llm/granite-8b is already that of"),
        ([("version", '"0.5.2"')], "llamaStack.version: expected 0.7 or 0.2, with or without a third number"),
        ([("version", '"1.0"')], "OGX, its successor, has no shields, got '1.0'"),
        ([("version", "0.2")], 'put it in quotes: "0.2"'),
        (
            [("kind", "LlamaStackDistribution"), ("storageClass", "fast")],
            "llamaStack.storageClass: has no effect with kind LlamaStackDistribution",
        ),
        (
            [("kind", "LlamaStackDistribution"), ("service", f"{{name: {'x' * 60}}}")],
            "-service' would have more than 63 characters",
        ),
    ],
    ids=["own namespace", "twice", "taken", "0.5", "ogx", "number", "storage class", "long name"],
)
def test_what_cannot_be_is_refused(changes: list[tuple[str, str]], expected: str) -> None:
    """What Llama Stack or its operator cannot do is an error that says so."""
    lines = "".join(f"  {key}: {value}\n" for key, value in changes)
    assert expected in complaint(changed(("  namespace: llama-stack\n", f"  namespace: llama-stack\n{lines}")))


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("{type: milvus, path: /tmp/milvus.db}", "vectorStore.path: expected a path under /.llama/"),
        ("{type: milvus, token: {name: a, key: b}}", "vectorStore.token: has no effect without `uri`"),
        ("{type: milvus, uri: 'http://m:1', path: /.llama/m.db}", "vectorStore.path: has no effect with `uri`"),
    ],
)
def test_vector_store_is_a_file_or_a_server(store: str, expected: str) -> None:
    """Keys of the one have no place beside the other."""
    assert expected in complaint(changed(("{type: milvus}", store)))


def test_old_release_knows_its_guards_by_name() -> None:
    """Up to 0.2.14 a shield has to be one of the models that the release lists; later any will do."""
    other = ("model: meta-llama/Llama-Guard-3-8B", "model: google/shieldgemma-9b")
    assert "and this is google/shieldgemma-9b" in complaint(changed(other, (OLD[0], OLD[1].replace("23", "12"))))
    assert loaded(changed(other, OLD)).catalog.llama_stack
    assert loaded(changed(other)).catalog.llama_stack
