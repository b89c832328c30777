"""Who may reach whom under `platform.networkPolicy`: the rendered policies, evaluated as their specification says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.policies import Source, admitted
from wtsctl.catalog.load import load
from wtsctl.commands.inputs import read_templates
from wtsctl.errors import CatalogError
from wtsctl.render.manifest import render

RESOURCES = "{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}"
CATALOG = f"""
apiVersion: wtsctl/v1
name: test
defaults:
  namespace: models
  images: {{vllm: "x:1", llamacpp: "x:1", llamaStack: "x:1"}}
platform:
  networkPolicy:
    mode: on
    namespaces: [notebooks]
    monitoring: monitoring
    ingress: gateways
    apiServer: [10.0.0.0/28]
models:
- &model {{name: chat, runtime: vllm, model: a/chat, role: chat, maxModelLen: 8192, resources: {RESOURCES}}}
- {{<<: *model, name: code, runtime: kserve, model: a/code, role: code}}
- {{<<: *model, name: guard, model: a/guard, role: safety, namespace: guards}}
- <<: *model
  name: outside
  model: a/outside
  expose: {{kind: HTTPRoute, host: models.example.com, gateway: {{name: public}}}}
- {{<<: *model, name: routed, runtime: llamacpp, model: /routed.gguf, expose: {{kind: Route}}}}
- {{<<: *model, name: large, model: a/large, parallel: {{tensor: 8, pipeline: 2}}}}
llamaStack:
  namespace: stack
  resources: {RESOURCES}
  models: [chat, code]
  safety: guard
agents:
- {{name: through, namespace: agents, via: llama-stack, model: chat, fallback: large, safety: guard, image: "x:1"}}
- {{name: straight, namespace: agents, via: direct, model: code, image: "x:1"}}
- {{name: theirs, namespace: somebody, via: direct, model: outside}}
- {{name: inside, namespace: models, via: llama-stack, model: chat, image: "x:1"}}
"""
OURS = {"app.kubernetes.io/managed-by": "wtsctl"}


def pod(name: str) -> dict[str, str]:
    """The labels that matter of a pod of ours."""
    return OURS | {"app.kubernetes.io/instance": name}


# What the pods of each server carry, and the port of their container.
SERVERS: dict[str, tuple[str, dict[str, str], int]] = {
    "chat": ("models", pod("chat"), 8000),
    "code": ("models", {"serving.kserve.io/inferenceservice": "code", "app": "isvc.code-predictor"}, 8080),
    "guard": ("guards", pod("guard"), 8000),
    "outside": ("models", pod("outside"), 8000),
    "routed": ("models", pod("routed"), 8000),
    "large": ("models", pod("large"), 8000),
    "stack": ("stack", pod("llamastack-server"), 8321),
    "inside": ("models", pod("inside"), 8080),
    "someone": ("models", {"app": "unknown"}, 5432),
}
SOURCES = {
    "stack": Source("stack", pod("llamastack-server")),
    "beside the stack": Source("stack", {"app": "debug"}),
    "through": Source("agents", pod("through")),
    "straight": Source("agents", pod("straight")),
    "theirs": Source("somebody", {"app": "theirs"}),
    "notebook": Source("notebooks", {"app": "jupyter"}),
    "prometheus": Source("monitoring", {"app": "prometheus"}),
    "gateway": Source("gateways", {"app": "envoy"}),
    "openshift router": Source("router", {}, {"policy-group.network.openshift.io/ingress": ""}),
    "openshift host": Source("host", {}, {"policy-group.network.openshift.io/host-network": ""}),
    "api server": Source(address="10.0.0.3"),
    "elsewhere": Source(address="10.0.0.99"),
    "same namespace": Source("models", {"app": "debug"}),
    "chat": Source("models", pod("chat")),
    "large": Source("models", pod("large")),
    "impostor": Source("default", pod("llamastack-server")),
}
EVERYWHERE = {"notebook", "api server", "openshift host"}
METRICS = {"prometheus"}
ALLOWED: dict[str, set[str]] = {
    "chat": EVERYWHERE | METRICS | {"stack"},
    "code": EVERYWHERE | METRICS | {"stack", "straight"},
    "guard": EVERYWHERE | METRICS | {"stack"},
    "outside": EVERYWHERE | METRICS | {"theirs", "gateway"},
    "routed": EVERYWHERE | METRICS | {"openshift router", "gateway"},
    "large": EVERYWHERE | METRICS | {"through", "large"},
    "stack": EVERYWHERE | {"through"},
    "inside": set(SOURCES),
    "someone": set(),
}


def policies(text: str = CATALOG) -> list[dict[str, Any]]:
    """The rendered NetworkPolicies."""
    made = render(load(text, filename="models.yaml").catalog, read_templates(None))
    return [one.doc for one in made if one.kind == "NetworkPolicy"]


def reached(found: list[dict[str, Any]], server: str, port: int | None = None) -> set[str]:
    """Who reaches a server."""
    namespace, labels, its = SERVERS[server]
    return {name for name, source in SOURCES.items() if admitted(found, namespace, labels, port or its, source)}


def test_who_reaches_whom() -> None:
    """Each server is reached by those that models.yaml says ask it, and by nobody else."""
    found = policies()
    # The agent in the models' namespace asks Llama Stack too, but is no source of the table: it is one of ours.
    assert {server: reached(found, server) for server in SERVERS} == ALLOWED
    inside = Source("models", pod("inside"))
    assert admitted(found, *SERVERS["stack"], inside)
    assert not admitted(found, *SERVERS["chat"], inside)


def test_other_ports_are_closed() -> None:
    """Only the port that a server listens on is open; the pods of one model over several nodes use any between them."""
    found = policies()
    for server in ("chat", "code", "stack"):
        assert reached(found, server, 22) == set()
    assert reached(found, "large", 29500) == {"large"}


def test_ports_and_labels_are_those_of_the_pods() -> None:
    """What the policies name is what the rendered pods have; a policy about nothing would close nothing."""
    made = render(load(CATALOG, filename="models.yaml").catalog, read_templates(None))
    for one in made:
        if one.kind not in {"Deployment", "LeaderWorkerSet"}:
            continue
        spec = one.doc["spec"]
        worker = spec.get("leaderWorkerTemplate", {})
        template = spec.get("template") or worker.get("leaderTemplate") or worker["workerTemplate"]
        name = "stack" if one.name == "llamastack-server" else one.name
        if name not in SERVERS:
            continue
        namespace, labels, port = SERVERS[name]
        assert one.namespace == namespace
        assert labels.items() <= template["metadata"]["labels"].items(), one.identity
        ports = [held["containerPort"] for each in template["spec"]["containers"] for held in each.get("ports", [])]
        assert port in ports, one.identity
    isvc = next(one.doc for one in made if one.kind == "InferenceService")
    assert isvc["spec"]["predictor"]["model"]["ports"][0]["containerPort"] == SERVERS["code"][2]


def test_one_model_keeps_its_callers() -> None:
    """Rendered alone, a model is reached by the same as when all is rendered."""
    catalog = load(CATALOG, filename="models.yaml").catalog
    alone = [one.doc for one in render(catalog, read_templates(None), {"code"}) if one.kind == "NetworkPolicy"]
    assert [one["metadata"]["name"] for one in alone] == ["default-deny-ingress", "code"]
    assert reached(alone, "code") == ALLOWED["code"]


def test_a_policy_lies_with_its_agent() -> None:
    """The policy of an agent is in the agent's folder, whatever that is called: one kustomization has both."""
    text = CATALOG.replace("name: inside", "name: 9th-agent")
    made = render(load(text, filename="models.yaml").catalog, read_templates(None))
    assert {one.path for one in made if one.name == "9th-agent"} == {"models/9th-agent"}
    assert "NetworkPolicy" in {one.kind for one in made if one.name == "9th-agent"}


def test_nothing_is_closed_unless_asked_for() -> None:
    """By default there is no policy at all."""
    assert policies(CATALOG.replace("mode: on", "mode: off")) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("    apiServer: [10.0.0.0/28]\n", "", "platform.networkPolicy", "without apiServer"),
        ("    ingress: gateways\n", "", "models[3].expose", "no HTTPRoute gets through"),
    ],
)
def test_what_would_shut_everyone_out(old: str, new: str, where: str, said: str) -> None:
    """Closed without saying where the API server or the gateway is, the models would be cut off: told beforehand."""
    with pytest.raises(CatalogError, match=said) as caught:
        policies(CATALOG.replace(old, new))
    assert where in caught.value.problems[0].message


@pytest.mark.parametrize("impossible", ["::1/999", "10.0.0.256/32", "10.0.0.0/33", "10.0.0/8"])
def test_addresses_that_no_network_has(impossible: str) -> None:
    """A range that no address can be in is refused with its place, before an API server refuses the policy."""
    with pytest.raises(CatalogError) as caught:
        policies(CATALOG.replace("[10.0.0.0/28]", f"['10.1.2.3/8', '{impossible}']"))
    (problem,) = caught.value.problems
    assert problem.message == (
        "platform.networkPolicy.apiServer[1]: expected an address and the length of its prefix, such as 10.0.0.0/8, "
        f"got '{impossible}'"
    )
