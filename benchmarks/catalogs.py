"""The catalogs of the benchmarks, and the charts that make the same objects: models that differ in a few values."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

# What differs from model to model: the text that stands for it in the one model that the chart is made from.
STAND_INS = {"name": "stand-in-name", "length": "5555555", "cpu": "66666", "memory": "7777777Gi"}

HEAD = """apiVersion: wtsctl/v1
name: %(catalog)s
defaults:
  namespace: %(namespace)s
  images: {vllm: "vllm/vllm-openai:v0.33.0"}
"""
# A Namespace, and of each model a Deployment and a Service.
BARE = """platform:
  networkPolicy: {mode: "off"}
  podDisruptionBudgets: "off"
"""
MODEL = """- name: %(name)s
  runtime: vllm
  model: ibm-granite/granite-3.1-8b-instruct
  role: code
  maxModelLen: %(length)s
  resources:
    requests: {cpu: 1, memory: 1Gi}
    limits: {cpu: %(cpu)s, memory: %(memory)s}
  smoke:
  - {name: hello, prompt: Say hello., assert: [{icontains: hello}]}
  budgets:
  - {metric: ttft, stat: p50, max: 200ms}
"""
CHART = "apiVersion: v2\nname: benchmark\nversion: 0.1.0\n"


def models(count: int) -> list[dict[str, str]]:
    """What differs, for each model."""
    return [
        {"name": f"granite-{n}", "length": str(4096 + n), "cpu": str(2 + n % 7), "memory": f"{8 + n % 5}Gi"}
        for n in range(count)
    ]


def _head(namespace: str, name: str) -> str:
    """The first lines of a catalog."""
    return HEAD % {"namespace": namespace, "catalog": name}


def catalog(entries: Sequence[Mapping[str, str]]) -> str:
    """A catalog with what wtsctl renders by default."""
    return f"{_head('llm', 'benchmark')}models:\n{''.join(MODEL % entry for entry in entries)}"


def bare(entries: Sequence[Mapping[str, str]], namespace: str, replicas: int = 0) -> str:
    """A catalog of which nothing is rendered but a Namespace, and of each model a Deployment and a Service."""
    texts = (MODEL % entry + f"  replicas: {replicas}\n" for entry in entries)
    return f"{_head(namespace, namespace)}{BARE}models:\n{''.join(texts)}"


def rendered(wtsctl: str, catalog: Path) -> str:
    """What `wtsctl render` prints for a catalog."""
    return subprocess.run([wtsctl, "render", "-f", str(catalog)], check=True, capture_output=True, text=True).stdout


def write_chart(folder: Path, one: str, count: int) -> None:
    """A chart that renders what wtsctl renders for `count` models.

    Its template is wtsctl's own text for one model in a `range`: no conditions, no includes and no `toYaml`, so helm
    has less to do than with a chart that people write.

    Args:
        folder: to be made.
        one: what `wtsctl render` prints for a catalog whose only model is `MODEL % STAND_INS`.
        count: how many models.
    """
    documents = [f"---\n{part}" for part in one.split("---\n") if part]
    shared = [part for part in documents if STAND_INS["name"] not in part]
    own = "".join(part for part in documents if STAND_INS["name"] in part)
    for key, stand_in in STAND_INS.items():
        own = own.replace(stand_in, f"{{{{ .{key} }}}}")
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART)
    (folder / "values.yaml").write_text(yaml.safe_dump({"models": models(count)}))
    template = f"{''.join(shared)}{{{{- range .Values.models }}}}\n{own}{{{{- end }}}}\n"
    (folder / "templates/models.yaml").write_text(template)


def objects(text: str) -> dict[tuple[str, str], Any]:
    """The objects of a stream by kind and name, in its order."""
    loaded = (one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)
    return {(one["kind"], one["metadata"]["name"]): one for one in loaded}
