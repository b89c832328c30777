"""Keys that a model's server does not read, and downloads that cannot work: each refused with its line."""

from __future__ import annotations

import pytest

from tests.catalogs import changed, complaint, loaded

HEAD = """\
apiVersion: wtsctl/v1
name: small
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0", llamacpp: "llama.cpp:server"}
models:
- name: a
  runtime: RUNTIME
  model: MODEL
  role: chat
  maxModelLen: 8192
  resources: {requests: {cpu: 1, memory: 8Gi}, limits: {cpu: 1, memory: 8Gi}}
"""
LLAMACPP = changed(("RUNTIME", "llamacpp"), ("MODEL", "/m.gguf"), text=HEAD)
VLLM = changed(("RUNTIME", "vllm"), ("MODEL", "org/model"), text=HEAD)
RWX, RWO = (f"cache: {{claim: w, size: 1Gi, accessMode: {mode}}}\n" for mode in ("ReadWriteMany", "ReadWriteOnce"))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("dtype: half", "models[0].dtype: has no effect with runtime llamacpp: the GGUF file says it"),
        ("quantization: fp8", "models[0].quantization: has no effect with runtime llamacpp: the GGUF file says it"),
        ("kvCacheDtype: fp8", "models[0].kvCacheDtype: has no effect with runtime llamacpp, whose types have other"),
        ("gpuMemoryUtilization: 0.9", "models[0].gpuMemoryUtilization: has no effect with runtime llamacpp, which "),
        ("toolCalling: {parser: hermes}", "models[0].toolCalling: has no effect with runtime llamacpp, which takes"),
        ("reasoningParser: granite", "models[0].reasoningParser: has no effect with runtime llamacpp, which takes"),
        ("lora: {adapters: [{name: x, source: /x}]}", "models[0].lora: has no effect with runtime llamacpp; `args`"),
        ("download: {}", "models[0].download: has no effect with runtime llamacpp, which reads weights from its"),
    ],
)
def test_keys_that_llamacpp_does_not_read(key: str, why: str) -> None:
    """A setting that would be lost in silence is an error at its line, with what to do instead."""
    assert complaint(f"{LLAMACPP}  {key}\n").startswith(f"models.yaml:13:3: {why}")


@pytest.mark.parametrize(("key", "at"), [("tensor", 14), ("pipeline", 14)])
def test_llamacpp_is_not_split(key: str, at: int) -> None:
    """Neither over GPUs nor over nodes."""
    found = complaint(f"{LLAMACPP}  parallel: {{{key}: 2}}\n")
    assert found.startswith(f"models.yaml:13:{at}: models[0].parallel.{key}: has no effect with runtime llamacpp, ")


def test_what_llamacpp_reads() -> None:
    """The keys with an equivalent are taken."""
    further = "  maxNumSeqs: 4\n  threads: 2\n  apiKey: {name: k, key: t}\n  chatTemplate: {text: x}\n"
    assert loaded(LLAMACPP + further).catalog.models[0].max_num_seqs == 4


def test_a_download_needs_a_volume_for_two() -> None:
    """The Job and the server that waits for it hold the volume at once, maybe on two nodes."""
    text = f"{VLLM}  download: {{}}\n"
    assert complaint(text).startswith("models.yaml:13:3: models[0].download: needs `cache`")
    assert complaint(RWO + text).startswith("models.yaml:14:3: models[0].download: the Job and the server")
    assert loaded(RWX + text).catalog.cache is not None
    # A cache that is wrong itself is one error, not two.
    assert complaint(RWX.replace("1Gi", "much") + text).count("models.yaml") == 1


def test_a_download_of_a_path_is_none() -> None:
    """Weights that are read from a path are not downloaded."""
    text = changed(("org/model", "/models/x"), text=VLLM)
    assert complaint(f"{RWX}{text}  download: {{}}\n").startswith(
        "models.yaml:14:3: models[0].download: has no effect: the weights are read from a path"
    )


def test_several_nodes_need_a_volume_for_all() -> None:
    """A volume of one node cannot serve a copy that is on two."""
    text = f"{RWO}{VLLM}  parallel: {{pipeline: 2}}\n"
    assert complaint(text).startswith("models.yaml:14:24: models[0].parallel.pipeline: one copy is on 2 nodes")
    assert loaded(RWX + f"{VLLM}  parallel: {{pipeline: 2}}\n").workloads[0].grouped


def test_an_adapter_takes_no_models_name() -> None:
    """The endpoint answers to an adapter's name, so that it is an id like any other."""
    text = f"{VLLM}  aliases: [b]\n  lora: {{adapters: [{{name: c, source: o/c}}, {{name: b, source: o/b}}]}}\n"
    found = complaint(text)
    assert found.startswith("models.yaml:14:")
    assert "models[0].lora.adapters[1].name: 'b' is already an alias of models[0]" in found


def test_a_chat_template_comes_from_one_place() -> None:
    """Two sources contradict each other, and a path has no key."""
    assert "expected exactly one of path, text and configMap" in complaint(
        f"{VLLM}  chatTemplate: {{path: /x, text: y}}\n"
    )
    assert "`key` belongs to a ConfigMap" in complaint(f"{VLLM}  chatTemplate: {{path: /x, key: y}}\n")
