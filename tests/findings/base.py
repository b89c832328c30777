"""A catalog in which nothing is found, and a case: the smallest change that makes one rule find something, or not."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.catalogs import changed, loaded
from wtsctl.catalog.load import LoadedCatalog
from wtsctl.commands.inputs import read_templates
from wtsctl.plan.findings.check import check
from wtsctl.plan.findings.rule import Finding
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.render.manifest import Manifest, render

CLEAN = """\
apiVersion: wtsctl/v1
name: clean
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0", llamaStack: "llamastack/distribution-starter:0.7.3"}
  gpu: {product: NVIDIA-A100-SXM4-80GB}
  runAsUser: 2000
secrets:
  huggingface: {name: hf, key: HF_TOKEN}
cache: {claim: weights, size: 500Gi}
models:
- name: llama-70b
  runtime: vllm
  model: meta-llama/Llama-3.1-70B-Instruct
  role: chat
  parallel: {tensor: 4}
  maxModelLen: 8192
  resources: {requests: {cpu: 8, memory: 32Gi}, limits: {cpu: 16, memory: 64Gi}}
  startupTimeout: 60m
  smoke:
  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}
  budgets:
  - {metric: total, max: 2s}
- name: granite-8b
  aliases: [granite]
  runtime: kserve
  model: ibm-granite/granite-3.1-8b-instruct
  role: code
  maxModelLen: 8192
  resources: {requests: {cpu: 4, memory: 16Gi}, limits: {cpu: 8, memory: 16Gi}}
  smoke:
  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}
- name: llama-guard
  runtime: vllm
  model: meta-llama/Llama-Guard-3-8B
  role: safety
  maxModelLen: 8192
  resources: {requests: {cpu: 2, memory: 16Gi}, limits: {cpu: 4, memory: 16Gi}}
  smoke:
  - {name: hello, prompt: Say hello., assert: [{icontains: safe}]}
llamaStack:
  namespace: llama-stack
  resources: {requests: {cpu: 1, memory: 4Gi}, limits: {cpu: 2, memory: 4Gi}}
  models: [llama-70b, granite-8b]
  safety: llama-guard
agents:
- name: chat-agent
  namespace: workshop
  via: llama-stack
  model: granite-8b
  fallback: llama-70b
  safety: llama-guard
  tasks: {conversation: granite-8b, safety_check: llama-guard}
"""

GONE = object()
"""As the value of an edit: the key is taken away."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to a rendered object, as a template or a patch of the user's would make it.

    Attributes:
        kind: of the object.
        name: of the object.
        keys: the way to what is changed; a key that is not there is made.
        value: what stands there then.
    """

    kind: str
    name: str
    keys: tuple[str | int, ...]
    value: Any

    def apply(self, manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """The manifests with the change; an object that is not there is a mistake in the test."""
        assert any(self._is_mine(made) for made in manifests), f"no {self.kind} {self.name}"
        return tuple(
            dataclasses.replace(made, doc=self._changed(made.doc)) if self._is_mine(made) else made
            for made in manifests
        )

    def _is_mine(self, made: Manifest) -> bool:
        return (made.kind, made.name) == (self.kind, self.name)

    def _changed(self, doc: dict[str, Any]) -> dict[str, Any]:
        made = copy.deepcopy(doc)
        at: Any = made
        for key in self.keys[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
        if self.value is GONE:
            del at[self.keys[-1]]
        else:
            at[self.keys[-1]] = self.value
        return made


POD = ("spec", "template", "spec")
SERVER = (*POD, "containers", 0)
PREDICTOR = ("spec", "predictor")


@dataclass(frozen=True, slots=True)
class Case:
    """A change, and what is found then.

    Attributes:
        code: of the rule that it is about.
        change: pairs of a text of the clean catalog and what takes its place.
        at: how the text begins where the finding stands; empty: nothing is found.
        says: a part of the message.
        edits: changes to rendered objects.
        also: codes of others that are found as well.
        profile: that is merged in.
        checkpoints: what the `config` of a model says.
        name: tells the cases of one code apart.
    """

    code: str
    change: tuple[tuple[str, str], ...] = ()
    at: str = ""
    says: str = ""
    edits: tuple[Edit, ...] = ()
    also: frozenset[str] = frozenset()
    profile: str | None = None
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)
    name: str = ""

    @property
    def text(self) -> str:
        """The catalog."""
        return changed(*self.change, text=CLEAN)

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is found in it."""
        return findings(self.text, self.edits, self.profile, self.checkpoints)


@cache
def _templates() -> dict[str, str]:
    return read_templates(None)


@cache
def _rendered(text: str, profile: str | None) -> tuple[LoadedCatalog, tuple[Manifest, ...]]:
    catalog = loaded(text, profile)
    return catalog, render(catalog.catalog, _templates(), knows=lambda _version, _kind: True, parts=True)


def rendered(text: str) -> tuple[Manifest, ...]:
    """What a catalog renders to, when the cluster knows every kind."""
    return _rendered(text, None)[1]


def findings(
    text: str,
    edits: tuple[Edit, ...] = (),
    profile: str | None = None,
    checkpoints: Mapping[str, Checkpoint] | None = None,
    ignored: frozenset[str] = frozenset(),
) -> tuple[Finding, ...]:
    """What is found in a catalog, with everything rendered that the cluster could know."""
    catalog, manifests = _rendered(text, profile)
    for edit in edits:
        manifests = edit.apply(manifests)
    return check(catalog, text, manifests, checkpoints=checkpoints, ignored=ignored)


def shape_of(text: str, finding: Finding) -> str:
    """The rest of the line where a finding stands."""
    return text.splitlines()[finding.line - 1][finding.column - 1 :]


ROOT = Path(__file__).resolve().parents[2]
