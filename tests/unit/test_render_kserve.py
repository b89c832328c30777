"""What an InferenceService says, by KServe's version and by the server in its ServingRuntime."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalogs import SMALL, changed, loaded
from wtsctl.commands.inputs import read_templates
from wtsctl.render.manifest import Manifest, render

TEMPLATES = read_templates(None)
TOKEN = ("models:", "secrets: {huggingface: {name: hf, key: HF_TOKEN}}\nmodels:")
ROLE = "role: chat"


def rendered(*changes: tuple[str, str]) -> dict[str, Manifest]:
    """The manifests of the model that KServe serves, by identity."""
    made = render(loaded(changed(*changes, text=SMALL)).catalog, TEMPLATES, {"llama-3b"})
    return {one.identity: one for one in made}


def service(*changes: tuple[str, str]) -> dict[str, Any]:
    """The InferenceService of the small catalog."""
    return rendered(*changes)["llm/InferenceService/llama-3b"].doc


def with_lines(*lines: str) -> tuple[str, str]:
    """Further lines for the model that KServe serves."""
    return ROLE, "\n  ".join((ROLE, *lines))


def version(number: str) -> tuple[str, str]:
    """The KServe of the cluster."""
    return "namespace: llm", f'namespace: llm\n  kserveVersion: "{number}"'


@pytest.mark.parametrize(
    ("number", "mode", "scaler"),
    [
        ("0.15", "RawDeployment", "hpa"),
        ("0.15.1", "RawDeployment", "hpa"),
        ("0.15.2", "RawDeployment", "none"),
        ("0.16", "Standard", "none"),
        ("0.20.0", "Standard", "none"),
        ("1", "Standard", "none"),
    ],
)
def test_each_version_is_told_what_it_knows(number: str, mode: str, scaler: str) -> None:
    """The plain mode by the name that this KServe has for it, and no autoscaler where it can do without."""
    annotations = service(version(number))["metadata"]["annotations"]
    assert annotations["serving.kserve.io/deploymentMode"] == mode
    assert annotations["serving.kserve.io/autoscalerClass"] == scaler


@pytest.mark.parametrize("by", ["hpa", "keda"])
def test_somebody_else_scales(by: str) -> None:
    """With autoscale KServe leaves the number of its pods alone, and the InferenceService says none."""
    prometheus = ("name: small", "name: small\nplatform: {monitoring: {prometheus: 'http://prometheus:9090'}}")
    made = rendered(prometheus, with_lines(f"autoscale: {{max: 3, by: {by}}}"))
    doc = made["llm/InferenceService/llama-3b"].doc
    assert doc["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
    assert not {"minReplicas", "maxReplicas"} & doc["spec"]["predictor"].keys()
    kind = "ScaledObject" if by == "keda" else "HorizontalPodAutoscaler"
    target = made[f"llm/{kind}/llama-3b"].doc["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama-3b-predictor"}


@pytest.mark.parametrize(
    ("line", "path", "first"),
    [
        ("kserve: {format: huggingface}", "/v2/models/llama-3b/ready", "--model_name=llama-3b"),
        ("kserve: {format: vLLM}", "/health", "--served-model-name"),
        ("kserve: {server: vllm}", "/health", "--served-model-name"),
    ],
)
def test_every_probe_asks_for_the_model(line: str, path: str, first: str) -> None:
    """Each server has its own route that answers once the model is loaded, and its own arguments."""
    model = service(with_lines(line))["spec"]["predictor"]["model"]
    probes = [model[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert probes == [{"path": path, "port": 8080}] * 3
    assert model["args"][0] == first


def test_only_vllm_answers_to_aliases() -> None:
    """KServe's huggingface server looks a model up by one name."""
    aliases = ("- name: llama-3b", "- name: llama-3b\n  aliases: [llama]")
    assert "llama" not in service(aliases)["spec"]["predictor"]["model"]["args"]
    own = service(aliases, with_lines("kserve: {format: vLLM}"))["spec"]["predictor"]["model"]["args"]
    assert own[:3] == ["--served-model-name", "llama-3b", "llama"]


def test_the_path_is_set_where_the_server_has_another() -> None:
    """An empty prefix, which is not the same as none, and only for the server that reads it."""
    prefix = {"name": "KSERVE_OPENAI_ROUTE_PREFIX", "value": ""}
    plain = service(with_lines("kserve: {openaiPrefix: /v1}"))["spec"]["predictor"]["model"]["env"]
    assert prefix in plain
    for line in ("kserve: {openaiPrefix: /openai/v1}", "kserve: {format: vLLM, openaiPrefix: /v1}"):
        names = [entry["name"] for entry in service(with_lines(line))["spec"]["predictor"]["model"]["env"]]
        assert prefix["name"] not in names


@pytest.mark.parametrize(
    ("model", "uri", "account"),
    [
        ("org/model", "hf://org/model", "huggingface-token"),
        ("hf://org/model", "hf://org/model", "huggingface-token"),
        ("pvc://weights/model", "pvc://weights/model", None),
        ("s3://bucket/model", "s3://bucket/model", None),
        ("oci://registry.example.com/model:1", "oci://registry.example.com/model:1", None),
    ],
)
def test_weights_come_from_where_the_model_says(model: str, uri: str, account: str | None) -> None:
    """A plain id is one of Hugging Face; only what comes from there is downloaded with its token."""
    predictor = service(TOKEN, ("meta-llama/Llama-3.2-3B-Instruct", model))["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == uri
    assert predictor.get("serviceAccountName") == account


@pytest.mark.parametrize(
    ("line", "argument"),
    [
        ("kserve: {downloadBy: server}", ["--model_id=meta-llama/Llama-3.2-3B-Instruct"]),
        ("kserve: {downloadBy: server, format: vLLM}", ["--model", "meta-llama/Llama-3.2-3B-Instruct"]),
    ],
)
def test_the_server_can_download_itself(line: str, argument: list[str]) -> None:
    """Then there is no init container to feed, and the token is a variable of the server."""
    predictor = service(TOKEN, with_lines(line))["spec"]["predictor"]
    assert "storageUri" not in predictor["model"]
    assert "serviceAccountName" not in predictor
    assert " ".join(argument) in " ".join(predictor["model"]["args"])
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "HF_TOKEN"}}}
    assert token in predictor["model"]["env"]


@pytest.mark.parametrize(("number", "said"), [("0.15", True), ("0.15.2", True), ("0.16", False)])
def test_reasoning_is_switched_on_where_it_is_off(number: str, *, said: bool) -> None:
    """The vLLM in KServe 0.15 reads a reasoning parser only beside --enable-reasoning."""
    arguments = service(version(number), with_lines("reasoningParser: granite"))["spec"]["predictor"]["model"]["args"]
    assert ("--enable-reasoning" in arguments) == said
    assert arguments[arguments.index("--reasoning-parser") + 1] == "granite"


def test_the_user_is_named_where_the_image_needs_it() -> None:
    """The image of vLLM runs as root unless told otherwise; KServe's does not."""
    user = ("namespace: llm", "namespace: llm\n  runAsUser: 2000")
    assert "runAsUser" not in service(user)["spec"]["predictor"]["securityContext"]
    own = service(user, with_lines("kserve: {format: vLLM}"))["spec"]["predictor"]["securityContext"]
    assert (own["runAsUser"], own["runAsNonRoot"]) == (2000, True)


def test_a_service_of_its_own() -> None:
    """`service` makes a second one for KServe's pods; without it there is only KServe's, which is not rendered."""
    assert not [one for one in rendered().values() if one.kind == "Service" and one.model == "llama-3b"]
    made = rendered(with_lines("service: {name: vllm-llama32-3b}"))["llm/Service/vllm-llama32-3b"].doc["spec"]
    assert made["selector"] == {"app": "isvc.llama-3b-predictor"}
    assert [(port["port"], port["targetPort"]) for port in made["ports"]] == [(8000, 8080)]
