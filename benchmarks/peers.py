"""The programs that wtsctl is compared with, compiled from their Go modules, once, into wtsctl's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
KWOK = "sigs.k8s.io/kwok/cmd/kwok@v0.8.0"


def compiled(package: str) -> Path:
    """The program of a Go package with its version, compiled where it is not yet."""
    name, _, version = package.rpartition("/")[2].partition("@")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"wtsctl/benchmarks/{name}-{version}"
    program = cache / name
    if not program.exists():
        print(f"compiling {name} {version} into {cache}; this takes minutes", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOBIN": str(cache), "CGO_ENABLED": "0"}
        subprocess.run(["go", "install", "-trimpath", "-ldflags=-s -w", package], check=True, env=environment)
    return program
