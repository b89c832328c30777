"""How long `wtsctl render` and `wtsctl validate` take for 500 models, beside `helm template` of an equal chart.

    python benchmarks/render.py [--models 500] [-n ROUNDS] [--helm PATH]

helm is compiled from its Go module (`HELM`), once, into wtsctl's cache, unless `--helm` names one.

The chart is made from what wtsctl renders for one model: its template is that text in a `range` over the models in
values.yaml, with `{{ }}` where the models differ. It has no conditions, no includes and no `toYaml`, as a chart that
people write would, so helm has less to do than it would there. Before anything is timed, the objects of both are
compared, and have to be the same. The programs run in turn, as whole processes, with their output in a pipe.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
# What differs from model to model: the text that stands for it in the one model that the chart is made from.
STAND_INS = {"name": "stand-in-name", "length": "5555555", "cpu": "66666", "memory": "7777777Gi"}

HEAD = """apiVersion: wtsctl/v1
name: benchmark
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0"}
models:
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


def helm() -> Path:
    """The pinned helm, compiled where it is not yet."""
    version = HELM.rpartition("@")[2]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wtsctl/benchmarks" / f"helm-{version}"
    program = cache / "helm"
    if not program.exists():
        print(f"compiling helm {version} into {cache}; this takes minutes", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(cache), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", "-trimpath", "-ldflags=-s -w", HELM], check=True, env=environment)
    return program


def write_chart(folder: Path, wtsctl: str, count: int) -> None:
    """A chart that renders what wtsctl renders for the models."""
    one = folder / "one.yaml"
    one.write_text(HEAD + MODEL % STAND_INS)
    text = output([wtsctl, "render", "-f", str(one)])
    documents = [f"---\n{part}" for part in text.split("---\n") if part]
    shared = [part for part in documents if STAND_INS["name"] not in part]
    own = "".join(part for part in documents if STAND_INS["name"] in part)
    for key, stand_in in STAND_INS.items():
        own = own.replace(stand_in, f"{{{{ .{key} }}}}")
    (folder / "chart/templates").mkdir(parents=True)
    (folder / "chart/Chart.yaml").write_text(CHART)
    (folder / "chart/values.yaml").write_text(yaml.safe_dump({"models": models(count)}))
    template = f"{''.join(shared)}{{{{- range .Values.models }}}}\n{own}{{{{- end }}}}\n"
    (folder / "chart/templates/models.yaml").write_text(template)


def output(command: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def objects(text: str) -> dict[tuple[str, str], Any]:
    """The objects of a stream by kind and name."""
    loaded = (one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)
    return {(one["kind"], one["metadata"]["name"]): one for one in loaded}


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall time and processor time of one run of a command, its output read to the end."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, used


def main() -> None:
    """Compare the objects, time the programs in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--helm", type=Path)
    parser.add_argument("-n", type=int, default=10, help="rounds to run, after one warm-up")
    arguments = parser.parse_args()
    wtsctl = str(Path(sys.executable).with_name("wtsctl"))
    program = str(arguments.helm or helm())
    with tempfile.TemporaryDirectory(prefix="wtsctl-benchmark-") as made:
        folder = Path(made)
        write_chart(folder, wtsctl, arguments.models)
        catalog = folder / "models.yaml"
        catalog.write_text(HEAD + "".join(MODEL % model for model in models(arguments.models)))
        commands = {
            "wtsctl render": [wtsctl, "render", "-f", str(catalog)],
            "helm template": [program, "template", "benchmark", str(folder / "chart")],
            "wtsctl validate": [wtsctl, "validate", "-f", str(catalog)],
        }
        ours, theirs = (objects(output(commands[name])) for name in ("wtsctl render", "helm template"))
        if ours != theirs:
            sys.exit("the chart renders something else than wtsctl: there is nothing to compare")
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(arguments.n + 1):
            for name, command in commands.items():
                taken = seconds(command)
                if turn:
                    times[name].append(taken)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{arguments.models} models, {len(ours)} objects, {arguments.n} rounds in turn, load average {load}; seconds")
    print(f"{'command':18} {'min':>7} {'median':>7} {'max':>7} {'median CPU':>11} {'min CPU':>8}")
    for name, measured in times.items():
        wall, used = zip(*measured, strict=True)
        row = (min(wall), statistics.median(wall), max(wall))
        print(f"{name:18} {row[0]:7.2f} {row[1]:7.2f} {row[2]:7.2f} {statistics.median(used):11.2f} {min(used):8.2f}")


if __name__ == "__main__":
    main()
