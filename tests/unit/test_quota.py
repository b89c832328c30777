"""ResourceQuotas: as large as what can run at once, no larger, and the same whatever is selected."""

from __future__ import annotations

from typing import Any

from wtsctl.catalog.load import load
from wtsctl.commands.inputs import read_templates
from wtsctl.render.manifest import render

HEAD = """
apiVersion: wtsctl/v1
name: test
defaults:
  namespace: models
  images: {vllm: "x:1", llamacpp: "x:1", llamaStack: "x:1"}
platform: {quota: {mode: on, headroom: 0}}
"""
RESOURCES = "{requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 2, memory: 2Gi}}"
MODEL = f"maxModelLen: 4096, role: chat, resources: {RESOURCES}"


def quotas(text: str, selected: set[str] | None = None) -> dict[str, dict[str, Any]]:
    """What each namespace may hold."""
    made = render(load(text, filename="models.yaml").catalog, read_templates(None), selected)
    return {str(one.namespace): one.doc["spec"]["hard"] for one in made if one.kind == "ResourceQuota"}


def model(text: str) -> dict[str, Any]:
    """The quota of a catalog of one model."""
    (found,) = quotas(f"{HEAD}models:\n- {{name: one, {MODEL}, {text}}}\n").values()
    return found


def test_one_pod() -> None:
    """One pod counts once; a GPU is counted as a request alone."""
    assert model("runtime: vllm, model: a/b, parallel: {tensor: 2}") == {
        "pods": "1",
        "requests.cpu": "500m",
        "limits.cpu": "2",
        "requests.memory": "1024Mi",
        "limits.memory": "2048Mi",
        "requests.nvidia.com/gpu": "2",
    }


def test_what_a_rollout_adds() -> None:
    """Several pods are replaced one by one, and the one that stops counts while the new one is made."""
    assert model("runtime: vllm, model: a/b, replicas: 3")["requests.nvidia.com/gpu"] == "4"
    assert model("runtime: kserve, model: a/b, replicas: 2")["pods"] == "3"


def test_the_most_that_scaling_makes() -> None:
    """Under an autoscaler the largest number of pods counts."""
    monitoring = HEAD.replace("platform: {", "platform: {monitoring: {prometheus: 'http://prometheus:9090'}, ")
    entry = f"- {{name: one, {MODEL}, runtime: vllm, model: a/b, autoscale: {{max: 5, by: keda}}}}\n"
    catalog = load(f"{monitoring}models:\n{entry}", filename="models.yaml").catalog
    made = render(catalog, read_templates(None), knows=lambda *_: True)
    (quota,) = [one.doc["spec"]["hard"] for one in made if one.kind == "ResourceQuota"]
    # And one that stops while another starts.
    assert quota["pods"] == "6"


def test_several_nodes() -> None:
    """Of a model over several nodes each pod counts."""
    found = model("runtime: vllm, model: a/b, parallel: {tensor: 8, pipeline: 2}")
    assert (found["pods"], found["requests.nvidia.com/gpu"]) == ("2", "16")


def test_volumes_downloads_and_headroom() -> None:
    """Volumes are counted, a download's pod beside its server, and the headroom is added to everything, rounded up."""
    head = HEAD.replace("headroom: 0}", "headroom: 0.1}") + "cache: {claim: weights, size: 10Gi}\n"
    text = f"{head}models:\n- {{name: one, {MODEL}, runtime: vllm, model: a/b, download: {{}}}}\n"
    assert quotas(text)["models"] == {
        "pods": "3",
        "persistentvolumeclaims": "2",
        "requests.storage": "11264Mi",
        "requests.cpu": "1650m",
        "limits.cpu": "6600m",
        "requests.memory": "3380Mi",
        "limits.memory": "11264Mi",
        "requests.nvidia.com/gpu": "2",
    }


def test_the_same_for_a_selection() -> None:
    """One model rendered alone finds the quota of all models of its namespace, and none of another namespace."""
    text = f"""{HEAD}models:
- {{name: one, {MODEL}, runtime: vllm, model: a/b}}
- {{name: two, {MODEL}, runtime: llamacpp, model: /x.gguf}}
- {{name: other, {MODEL}, runtime: vllm, model: a/b, namespace: others}}
llamaStack: {{namespace: stack, models: [one], resources: {RESOURCES}}}
"""
    everything = quotas(text)
    assert set(everything) == {"models", "others", "stack"}
    assert everything["stack"]["persistentvolumeclaims"] == "1"
    assert quotas(text, {"two"}) == {"models": everything["models"]}


def test_llama_stack_by_its_operator() -> None:
    """What the operator makes of a LlamaStackDistribution counts as what we make ourselves does."""
    text = f"""{HEAD}models: [{{name: one, {MODEL}, runtime: vllm, model: a/b}}]
llamaStack: {{namespace: stack, models: [one], resources: {RESOURCES}}}
"""
    operated = text.replace("namespace: stack,", "namespace: stack, kind: LlamaStackDistribution,")
    assert quotas(operated)["stack"] == quotas(text)["stack"]
