"""Smoke tests of real pods, through the API server's service proxy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from wtsctl.catalog.load import load
from wtsctl.cluster.config import connect
from wtsctl.commands.endpoints import way_to
from wtsctl.probe.target import Timeouts

pytestmark = pytest.mark.e2e

CATALOG = Path(__file__).resolve().parents[2] / "models.yaml"
MODELS = ["llama-3.1-70b", "watt-8b", "llama-guard-3-8b", "llama-3.2-3b", "granite-8b"]


class Node(Protocol):
    """What these tests need of the sandbox with a node."""

    kubeconfig: Path


@pytest.fixture(scope="module")
def kubeconfig(node: Node) -> Path:
    """The sandbox with the five models of its profile deployed."""
    done = wtsctl("deploy", "--kubeconfig", str(node.kubeconfig))
    assert done.returncode == 0, done.stderr
    return node.kubeconfig


def wtsctl(command: str, *arguments: str, file: Path = CATALOG) -> subprocess.CompletedProcess[str]:
    """Run a command on the sandbox profile to its end."""
    line = [sys.executable, "-m", "wtsctl", command, "-f", str(file), "--profile", "sandbox", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)


def smoke(kubeconfig: Path, *arguments: str, file: Path = CATALOG) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, models and stderr of a smoke test."""
    done = wtsctl("smoke-test", "--kubeconfig", str(kubeconfig), "-o", "json", *arguments, file=file)
    return done.returncode, json.loads(done.stdout)["data"]["models"], done.stderr


def edited(folder: Path, old: str, new: str) -> Path:
    """models.yaml with one passage of the sandbox profile replaced."""
    text = CATALOG.read_text()
    head, profile = text.split("\nprofiles:\n")
    assert old in profile
    path = folder / "models.yaml"
    path.write_text(f"{head}\nprofiles:\n{profile.replace(old, new)}")
    return path


def tokens_made(kubeconfig: Path) -> dict[str, int]:
    """Each model's own counter of generated tokens, from its /metrics."""
    connection = connect(kubeconfig)
    counters = {}
    for workload in load(CATALOG.read_text(), filename="models.yaml", profile="sandbox").workloads:
        target = way_to(connection, workload.endpoint, Timeouts(), CATALOG)
        url = target.base_url.removesuffix(workload.endpoint.prefix) + "/metrics"
        page = httpx.get(url, headers=target.headers(), verify=target.ssl_context or True, trust_env=False).text
        found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", page, re.MULTILINE)
        assert found, page
        counters[workload.name] = int(found[1])
    return counters


def test_five_models_answer(kubeconfig: Path) -> None:
    """Exit code 0, every verdict PASS, times of real pods, and the tokens that the pods themselves count."""
    before = tokens_made(kubeconfig)
    code, models, errors = smoke(kubeconfig, "--samples")
    after = tokens_made(kubeconfig)
    assert code == 0, errors
    assert [model["name"] for model in models] == MODELS
    for model in models:
        (prompt,) = model["prompts"]
        assert (model["verdict"], model["via"]) == ("PASS", "proxy")
        assert model["name"] in model["served"]
        assert model["opening"]["tls"] > 0
        counted = 0
        for sample in prompt["warmUps"] + prompt["samples"]:
            assert 0 < sample["ttfb"] <= sample["ttft"] < sample["total"]
            assert sample["chunks"] > 3
            counted += sample["completionTokens"]
        made = after[model["name"]] - before[model["name"]]
        # The first try of a request that was sent again may have made tokens before its connection was closed.
        again = sum(sample["resent"] for sample in prompt["warmUps"] + prompt["samples"])
        assert counted <= made <= counted + again * 24, (model["name"], again)


def test_the_stream_comes_through_the_api_server_as_it_is_made(kubeconfig: Path) -> None:
    """No buffering on the way: the tokens come one after another, not all at the end."""
    _, (model,), _ = smoke(kubeconfig, "granite-8b", "--repeat", "1", "--samples")
    (sample,) = model["prompts"][0]["samples"]
    assert sample["ttft"] < sample["total"] / 2
    assert sample["chunks"] > sample["completionTokens"] / 2


def test_a_wrong_answer(kubeconfig: Path, tmp_path: Path) -> None:
    """Exit code 6 where a model does not say what models.yaml asks of it."""
    file = edited(tmp_path, "regex: '[A-Za-z]{3}'", "contains: a sentence it will not write")
    code, (model,), errors = smoke(kubeconfig, "granite-8b", file=file)
    assert (code, model["verdict"]) == (6, "FAIL")
    assert "expected contains: a sentence it will not write, which 5 of 5 answers failed" in errors


def test_a_missed_budget(kubeconfig: Path, tmp_path: Path) -> None:
    """Exit code 7 where no pod could be that quick."""
    file = edited(tmp_path, "{metric: ttft, stat: p50, max: 2s}", "{metric: total, stat: p50, max: 1ms}")
    code, (model,), errors = smoke(kubeconfig, "granite-8b", file=file)
    assert (code, model["verdict"]) == (7, "FAIL")
    assert "granite-8b any-sentence: total p50 is " in errors


def test_a_model_that_is_not_there(kubeconfig: Path, tmp_path: Path) -> None:
    """Exit code 5, and the API server's reason, where the Service does not exist."""
    text = CATALOG.read_text()
    assert text.count("service: {name: vllm-granite-8b, port: 8000}") == 1
    file = tmp_path / "models.yaml"
    file.write_text(text.replace("name: vllm-granite-8b", "name: elsewhere"))
    code, (model,), errors = smoke(kubeconfig, "granite-8b", file=file)
    assert (code, model["failure"]["kind"]) == (5, "gateway")
    assert 'the API server answered 404: services "elsewhere" not found' in errors
