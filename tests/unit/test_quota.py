"""ResourceQuotas: as large as what can run at once, no larger, and the same whatever is selected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.findings.base import ROOT, findings
from wtsctl.catalog.load import load
from wtsctl.commands.inputs import read_templates
from wtsctl.errors import CatalogError, TemplateError, WtsctlError
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


CONTAINER = {
    "name": "c",
    "image": "x:1",
    "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m", "memory": "1Gi"}},
}
POD = {"containers": [CONTAINER]}
PLAIN = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}
CLAIM = {"spec": {"resources": {"requests": {"storage": "5Gi"}}}}
# With each: the pods that are counted at most, and those without the ones that a rollout adds.
KINDS: Mapping[str, tuple[str, dict[str, Any], int, int]] = {
    "pod": ("v1/Pod", POD, 1, 1),
    "deployment": ("apps/v1/Deployment", {**PLAIN, "replicas": None}, 2, 1),
    # 25 % of 10, rounded up.
    "default strategy": ("apps/v1/Deployment", {**PLAIN, "replicas": 10}, 13, 10),
    "surge in per cent": (
        "apps/v1/Deployment",
        {**PLAIN, "replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}},
        6,
        3,
    ),
    "recreated": ("apps/v1/Deployment", {**PLAIN, "replicas": 3, "strategy": {"type": "Recreate"}}, 3, 3),
    "replica set": ("apps/v1/ReplicaSet", {**PLAIN, "replicas": 4}, 4, 4),
    "stateful set": ("apps/v1/StatefulSet", {**PLAIN, "replicas": 2, "volumeClaimTemplates": [CLAIM]}, 2, 2),
    "job": ("batch/v1/Job", {**PLAIN, "parallelism": 3, "completions": 2}, 2, 2),
    "cron job": ("batch/v1/CronJob", {"jobTemplate": {"spec": {**PLAIN, "parallelism": 2}}}, 2, 2),
}


class Loader(yaml.SafeLoader):
    """Reads `on` and `off` as text, as the catalog does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML wants it
        first: [one for one in found if first not in "oO" or one[0] != "tag:yaml.org,2002:bool"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def with_extra(*documents: Mapping[str, Any], mode: str = "on") -> str:
    """A catalog of one model and objects of the user's own."""
    text = f"{HEAD}models: [{{name: one, {MODEL}, runtime: vllm, model: a/b}}]\nextra: {json.dumps(documents)}\n"
    return text.replace("quota: {mode: on", f"quota: {{mode: {mode}")


def own(kind: str, spec: Any, name: str = "own") -> dict[str, Any]:
    """An object of the user's own; `kind` is API version and kind."""
    version, _, kind = kind.rpartition("/")
    metadata = {"name": name, "namespace": "models"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("kind", KINDS)
def test_pods_of_extra_in_quota_and_finding(kind: str) -> None:
    """Pods of every kind count in the quota, a limit without a request as one, and in the finding about quotas."""
    version, spec, most, steady = KINDS[kind]
    bare, found = quotas(with_extra())["models"], quotas(with_extra(own(version, spec)))["models"]
    assert int(found["pods"]) - int(bare["pods"]) == most
    assert mebibytes(found["requests.memory"]) - mebibytes(bare["requests.memory"]) == 1024 * most
    assert millicores(found["requests.cpu"]) - millicores(bare["requests.cpu"]) == 100 * most
    assert millicores(found["limits.cpu"]) - millicores(bare["limits.cpu"]) == 200 * most
    assert found.get("requests.storage") == ("10240Mi" if kind == "stateful set" else None)
    assert too_small(with_extra(own(version, spec))) == []
    # One model's pod is there as well.
    tight = own("v1/ResourceQuota", {"hard": {"pods": str(steady), "requests.memory": "1000Gi"}}, "tight")
    (said,) = too_small(with_extra(own(version, spec), tight, mode="off"))
    assert f"allows {steady} of pods in models" in said
    assert said.endswith(f"take {steady + 1}")


@pytest.mark.parametrize("catalog", sorted(ROOT.glob("tests/cluster/matrix/*.yaml")), ids=lambda path: path.stem)
def test_a_computed_quota_holds_its_catalog(catalog: Any) -> None:
    """With no headroom at all the finding about quotas has nothing to say about a computed one, and does count."""
    document = yaml.load(catalog.read_text(), Loader=Loader)  # noqa: S506 - a SafeLoader
    platform = {**(document.get("platform") or {}), "quota": {"mode": "on", "headroom": 0}}
    assert too_small(json.dumps({**document, "platform": platform})) == []
    namespace = (document.get("defaults") or {}).get("namespace") or document["models"][0]["namespace"]
    quota = {**own("v1/ResourceQuota", {"hard": {"pods": "0"}}, "none"), "metadata": {"name": "none"}}
    quota["metadata"]["namespace"] = namespace
    assert too_small(json.dumps({**document, "extra": [*(document.get("extra") or ()), quota]}))


def too_small(text: str) -> list[str]:
    """What is found about quotas."""
    return [one.message for one in findings(text) if one.code == "WTS902"]


def millicores(text: str) -> int:
    """Of an amount such as `500m` or `2`."""
    return int(text[:-1]) if text.endswith("m") else 1000 * int(text)


def mebibytes(text: str) -> int:
    """Of an amount such as `512Mi`."""
    assert text.endswith("Mi")
    return int(text[:-2])


def test_a_sidecar_adds_to_its_pod() -> None:
    """An init container that stays counts beside the others, one that ends only where it is larger."""
    ends = {"name": "i", "image": "x:1", "resources": {"limits": {"memory": "3Gi"}}}
    stays = {**ends, "name": "s", "restartPolicy": "Always"}
    bare = mebibytes(quotas(with_extra())["models"]["limits.memory"])
    tight = own("v1/ResourceQuota", {"hard": {"limits.memory": "1Gi"}}, "tight")
    for init, wanted in (([ends], 3), ([stays], 4), ([stays, ends], 6)):
        pod = own("v1/Pod", {**POD, "initContainers": init})
        found = mebibytes(quotas(with_extra(pod))["models"]["limits.memory"])
        assert found - bare == 1024 * wanted
        # One pod of the model of 2 GiB.
        assert too_small(with_extra(pod, tight, mode="off"))[0].endswith(f"take {wanted + 2}Gi")


def test_keda_scales_to_a_hundred_where_nothing_is_said() -> None:
    """A ScaledObject without a largest number goes up to KEDA's default."""
    scaled = own("keda.sh/v1alpha1/ScaledObject", {"scaleTargetRef": {"name": "own"}, "triggers": []}, "scale")
    recreated = {**PLAIN, "strategy": {"type": "Recreate"}}
    text = with_extra(own("apps/v1/Deployment", recreated), scaled)
    assert int(quotas(text)["models"]["pods"]) - int(quotas(with_extra())["models"]["pods"]) == 100


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("apps/v1/Deployment", {**PLAIN, "replicas": "two"}, "spec.replicas: expected a whole number, got 'two'"),
        ("apps/v1/Deployment", {**PLAIN, "replicas": True}, "spec.replicas: expected a whole number, got True"),
        ("apps/v1/Deployment", {"replicas": 1}, "expected a list of containers"),
        ("apps/v1/Deployment", [1], "expected a list of containers"),
        ("apps/v1/Deployment", {"template": {"spec": {"containers": {"a": "b"}}}}, "expected a list of containers"),
        ("apps/v1/Deployment", {"template": {"spec": {"containers": ["a"]}}}, "expected a list of containers"),
        ("apps/v1/Deployment", {**PLAIN, "strategy": {"rollingUpdate": {"maxSurge": "some"}}}, "maxSurge: expected"),
        ("v1/Pod", {**POD, "initContainers": {"a": "b"}}, "initContainers: expected a list of containers"),
        ("v1/Pod", {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}, "expected a quantity"),
        ("v1/PersistentVolumeClaim", {}, "spec.resources.requests.storage: expected"),
        ("v1/PersistentVolumeClaim", [1], "spec.resources.requests.storage: expected"),
        ("apps/v1/StatefulSet", {**PLAIN, "volumeClaimTemplates": [{}]}, "spec.resources.requests.storage: expected"),
        ("keda.sh/v1alpha1/ScaledObject", {}, "spec.scaleTargetRef.name: expected"),
        ("autoscaling/v2/HorizontalPodAutoscaler", {"scaleTargetRef": {"name": "x"}}, "spec.maxReplicas: expected"),
        (
            "serving.kserve.io/v1beta1/InferenceService",
            {"predictor": {"model": CONTAINER, "maxReplicas": {"a": "b"}}},
            "spec.predictor.maxReplicas: expected a whole number",
        ),
        (
            "leaderworkerset.x-k8s.io/v1/LeaderWorkerSet",
            {"leaderWorkerTemplate": {"size": "2", "workerTemplate": {"spec": POD}}},
            "spec.leaderWorkerTemplate.size: expected a whole number",
        ),
        ("llamastack.io/v1alpha1/LlamaStackDistribution", {"server": {"storage": "x"}}, "cannot be counted"),
        ("llamastack.io/v1alpha1/LlamaStackDistribution", {"server": [1]}, "cannot be counted"),
    ],
)
def test_what_cannot_be_counted(kind: str, spec: Any, says: str) -> None:
    """An object that the API server would not take is named, with what is wrong in it."""
    with pytest.raises(TemplateError) as caught:
        quotas(with_extra(own(kind, spec)))
    (problem,) = caught.value.problems
    assert problem.where == f"models/{kind.rpartition('/')[2]}/own"
    assert says in problem.message


def test_a_patch_that_takes_the_pods_away() -> None:
    """A patch after which an object has no pods is told with the object."""
    patch = "patches: [{kind: Deployment, json: [{op: remove, path: /spec/template}]}]"
    with pytest.raises(WtsctlError, match=r"(?s)models/Deployment/.*expected a list of containers"):
        quotas(f"{HEAD}models: [{{name: one, {MODEL}, runtime: vllm, model: a/b, {patch}}}]\n")


def test_a_daemon_set_beside_a_computed_quota() -> None:
    """How many nodes there are is not known, so a quota that would leave no room for a DaemonSet is refused."""
    daemons = own("apps/v1/DaemonSet", PLAIN)
    with pytest.raises(CatalogError, match=r"as many pods as the cluster has nodes") as caught:
        quotas(with_extra(daemons))
    assert "models/DaemonSet/own" in str(caught.value)
    elsewhere = {**daemons, "metadata": {"name": "own", "namespace": "others"}}
    assert quotas(with_extra(elsewhere)) == quotas(with_extra())
