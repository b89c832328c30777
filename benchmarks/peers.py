"""The programs that wtsctl is compared with, compiled from their Go modules, once, into wtsctl's cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
KWOK = "sigs.k8s.io/kwok/cmd/kwok@v0.8.0"


# How kwok plays nodes and kubelets, which it reads from files of its module: what comes to it is ready at once.
_STAGES = ("node/fast/node-initialize.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml")
# What a kubelet does otherwise. It says that the startup probe has passed; and where a node was taken for lost, so that
# its pods are no longer ready, it says again that they are.
_RUNNING = "        restartCount: 0\n        state:\n          running:\n"
_STARTED = f"        started: true\n{_RUNNING}"
_ONCE = "    - key: '.status.phase'\n      operator: 'In'\n      values:\n      - 'Pending'\n"


def _cache(package: str) -> Path:
    name, _, version = package.rpartition("/")[2].partition("@")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"wtsctl/benchmarks/{name}-{version}"


def compiled(package: str) -> Path:
    """The program of a Go package with its version, compiled where it is not yet."""
    name, _, version = package.rpartition("/")[2].partition("@")
    cache = _cache(package)
    program = cache / name
    if not program.exists():
        print(f"compiling {name} {version} into {cache}; this takes minutes", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(cache), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", "-trimpath", "-ldflags=-s -w", package], check=True, env=environment)
    return program


def stages() -> Path:
    """The file with kwok's stages, copied out of its module once."""
    cached = _cache(KWOK) / "stages.yaml"
    if not cached.exists():
        module = KWOK.replace("/cmd/kwok", "")
        download = ["go", "mod", "download", "-json", module]
        answer = subprocess.run(download, check=True, capture_output=True, text=True, cwd=cached.parent)
        folder = Path(json.loads(answer.stdout)["Dir"]) / "kustomize/stage"
        text = "---\n".join((folder / name).read_text() for name in _STAGES)
        if _RUNNING not in text or _ONCE not in text:
            sys.exit(f"{module} says in another way what a pod comes to")
        cached.write_text(text.replace(_RUNNING, _STARTED).replace(_ONCE, ""))
    return cached
