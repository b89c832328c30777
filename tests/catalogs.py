"""A small catalog to break, and the whole text of what the loader says about it."""

from __future__ import annotations

import pytest

from wtsctl.catalog.load import LoadedCatalog, load
from wtsctl.errors import CatalogError

# The line of each part is what the expected messages of the tests count on.
SMALL = """\
apiVersion: wtsctl/v1
name: small
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0"}
models:
- name: granite-8b
  aliases: [granite]
  runtime: vllm
  model: ibm-granite/granite-3.1-8b-instruct
  role: code
  maxModelLen: 8192
  resources: {requests: {cpu: 4, memory: 16Gi}, limits: {cpu: 8, memory: 16Gi}}
  smoke:
  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}
- name: llama-3b
  runtime: kserve
  model: meta-llama/Llama-3.2-3B-Instruct
  role: chat
  maxModelLen: 8192
  resources: {requests: {cpu: 2, memory: 8Gi}, limits: {cpu: 4, memory: 8Gi}}
- name: llama-guard
  runtime: vllm
  model: meta-llama/Llama-Guard-3-8B
  role: safety
  maxModelLen: 8192
  resources: {requests: {cpu: 2, memory: 16Gi}, limits: {cpu: 4, memory: 16Gi}}
"""

STACK = """\
llamaStack:
  namespace: llama-stack
  image: llamastack/distribution-starter:0.7.3
  resources: {requests: {cpu: 1, memory: 4Gi}, limits: {cpu: 2, memory: 4Gi}}
  models: [llama-3b]
  safety: llama-guard
  embeddings: {name: minilm, model: sentence-transformers/all-MiniLM-L6-v2, dimension: 384}
  vectorStore: {type: milvus}
agents:
- name: chat-agent
  namespace: workshop
  via: llama-stack
  model: llama-3b
  fallback: granite-8b
  safety: llama-guard
  rag: true
  tasks: {conversation: llama-3b}
"""


def changed(*pairs: tuple[str, str], text: str = SMALL + STACK) -> str:
    """The catalog with the first place of each text replaced; a text that is not there is a mistake in the test."""
    for old, new in pairs:
        assert old in text, f"{old!r} is not in the catalog"
        text = text.replace(old, new, 1)
    return text


def loaded(text: str, profile: str | None = None) -> LoadedCatalog:
    """The catalog of a text that has no problems."""
    return load(text, filename="models.yaml", profile=profile)


def complaint(text: str, profile: str | None = None) -> str:
    """Everything that the loader says about a text with problems, hints included."""
    with pytest.raises(CatalogError) as caught:
        load(text, filename="models.yaml", profile=profile)
    return str(caught.value)


def codes(text: str, profile: str | None = None) -> list[str]:
    """The codes of the problems of a text, in file order."""
    with pytest.raises(CatalogError) as caught:
        load(text, filename="models.yaml", profile=profile)
    return [problem.code for problem in caught.value.problems]
