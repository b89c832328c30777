"""What models.yaml says about KServe: where a model answers, and which keys do not fit together."""

from __future__ import annotations

import pytest

from tests.catalogs import SMALL, STACK, changed, complaint, loaded

ROLE = "role: chat"


def llama(*more: str) -> str:
    """The small catalog, its KServe model with further lines."""
    return changed((ROLE, "\n  ".join((ROLE, *more))), text=SMALL)


def newest(*more: str) -> str:
    """The same for a cluster with KServe 0.20."""
    return changed(("namespace: llm", 'namespace: llm\n  kserveVersion: "0.20"'), text=llama(*more))


ADDRESSES = {
    "KServe's own Service": ((), "http://llama-3b-predictor.llm.svc.cluster.local:80/openai/v1"),
    "a Service of its own": (
        ("service: {name: vllm-llama32-3b, port: 8000}",),
        "http://vllm-llama32-3b.llm.svc.cluster.local:8000/openai/v1",
    ),
    "a Service named after the model": (("service: {}",), "http://llama-3b.llm.svc.cluster.local:8000/openai/v1"),
    "the plain path": (
        ("service: {name: main}", "kserve: {openaiPrefix: /v1}"),
        "http://main.llm.svc.cluster.local:8000/v1",
    ),
    "vLLM's own server": (("kserve: {format: vLLM}",), "http://llama-3b-predictor.llm.svc.cluster.local:80/v1"),
    "vLLM's own server under another format": (
        ("kserve: {format: pytorch, server: vllm}",),
        "http://llama-3b-predictor.llm.svc.cluster.local:80/v1",
    ),
}


@pytest.mark.parametrize(("lines", "url"), ADDRESSES.values(), ids=ADDRESSES)
def test_there_is_one_address(lines: tuple[str, ...], url: str) -> None:
    """Everything uses the model's own Service where there is one, and the path that its server has."""
    assert loaded(llama(*lines)).workloads[1].endpoint.url == url


WRONG = {
    "kserve on another runtime": (
        changed(("role: code", "role: code\n  kserve: {format: vLLM}"), text=SMALL),
        "models[0].kserve: has no effect with runtime vllm",
    ),
    "a Service called as KServe's": (
        llama("service: {name: llama-3b-predictor}"),
        "models[1].service.name: 'llama-3b-predictor' is KServe's own Service",
    ),
    "more GPUs than tensor parallel": (
        llama("gpus: 2"),
        "models[1].gpus: KServe's huggingface server splits the model over all 2 GPUs of its pod, not over 1",
    ),
    "a key that is not asked for": (
        llama("apiKey: {name: keys, key: llama}"),
        "models[1].apiKey: KServe's huggingface server asks nobody for a key",
    ),
    "a path": (
        changed(("meta-llama/Llama-3.2-3B-Instruct", "/weights/llama"), text=SMALL),
        "models[1].model: expected a Hugging Face id or an address such as pvc://CLAIM/FOLDER, got '/weights/llama'",
    ),
    "a prefix that vLLM has not": (
        llama("kserve: {format: vLLM, openaiPrefix: /openai/v1}"),
        "models[1].kserve.openaiPrefix: vLLM's own server serves the API under /v1",
    ),
    "weights that are not from Hugging Face": (
        changed(
            (ROLE, f"{ROLE}\n  kserve: {{downloadBy: server}}"), ("meta-llama/Llama-3.2-3B", "s3://b/llama"), text=SMALL
        ),
        (
            "models[1].kserve.downloadBy: the server itself downloads from Hugging Face alone, and this is "
            "'s3://b/llama-Instruct'"
        ),
    ),
    "an initializer that does nothing": (
        newest("kserve: {downloadBy: server, storageContainer: large, serviceAccount: s3}"),
        "models[1].kserve.storageContainer: has no effect: the server itself downloads the weights",
        "models[1].kserve.serviceAccount: has no effect: the server itself downloads the weights",
    ),
    "an initializer for a volume": (
        changed(
            ("meta-llama/Llama-3.2-3B-Instruct", "pvc://weights/llama"),
            text=newest("kserve: {storageContainer: large}"),
        ),
        "models[1].kserve.storageContainer: has no effect: nothing is downloaded for it",
    ),
    "a field that this KServe has not": (
        llama("kserve: {storageContainer: large}"),
        "models[1].kserve.storageContainer: needs KServe 0.20, and defaults.kserveVersion is 0.15",
    ),
    "a list that Llama Stack 0.2 cannot read": (
        changed(
            (ROLE, f"{ROLE}\n  kserve: {{openaiPrefix: /v1}}"),
            ("namespace: llama-stack", "namespace: llama-stack\n  version: 0.2.12"),
            text=SMALL + STACK,
        ),
        (
            "models[1].kserve.openaiPrefix: Llama Stack 0.2.12 looks for 'llama-3b' at /v1/models, where KServe lists "
            "it otherwise"
        ),
    ),
    "what only vLLM's Deployment has": (
        llama("parallel: {pipeline: 2}", "download: {}", "lora: {adapters: [{name: a, source: b}]}"),
        "models[1].parallel.pipeline: has no effect with runtime kserve, whose pods are each a whole copy",
        "models[1].lora: has no effect with runtime kserve",
        "models[1].download: has no effect with runtime kserve",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(case: tuple[str, ...]) -> None:
    """A key that KServe or its server would not heed is named, at its place."""
    text, *expected = case
    said = complaint(text)
    for part in expected:
        assert part in said
