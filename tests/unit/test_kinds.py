"""What is `auto` and what the words of --api-versions say of a cluster that nobody asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wtsctl.cli import app
from wtsctl.errors import UsageError
from wtsctl.render.kinds import Named

CATALOG = """apiVersion: wtsctl/v1
name: served
defaults:
  namespace: llm
  images: {llamacpp: "server:1"}
platform: {podDisruptionBudgets: auto}
models:
- name: tiny
  runtime: llamacpp
  model: /weights/tiny.gguf
  role: chat
  maxModelLen: 2048
  resources: {requests: {cpu: 100m, memory: 384Mi}, limits: {cpu: 1, memory: 1Gi}}
"""


@pytest.mark.parametrize(
    ("words", "known", "unknown"),
    [
        (["monitoring.coreos.com/v1/PodMonitor"], ["PodMonitor"], ["PrometheusRule"]),
        (["monitoring.coreos.com/v1"], ["PodMonitor", "PrometheusRule"], []),
        (["keda.sh/v1alpha1,monitoring.coreos.com/v1/PrometheusRule"], ["PrometheusRule"], ["PodMonitor"]),
        (["monitoring.coreos.com/v2"], [], ["PodMonitor", "PrometheusRule"]),
        ([], [], ["PodMonitor", "PrometheusRule"]),
    ],
)
def test_what_is_named_is_known_and_nothing_else(words: list[str], known: list[str], unknown: list[str]) -> None:
    """A kind is known by its own name or by that of its API version."""
    knows = Named(words)
    assert all(knows("monitoring.coreos.com/v1", kind) for kind in known)
    assert not any(knows("monitoring.coreos.com/v1", kind) for kind in unknown)


@pytest.mark.parametrize("word", ["PodMonitor", "a/b", "a/v1/", "", "v1/Pod/x", "a/v1/lower-case"])
def test_a_word_of_another_form_is_refused(word: str) -> None:
    """A misspelt kind must not pass as one that the cluster does not serve."""
    with pytest.raises(UsageError, match="expected GROUP/VERSION/KIND"):
        Named([word])


def test_words_without_effect_are_told(tmp_path: Path) -> None:
    """A kind that nothing is `auto` for may be misspelt, and is told; one of use and Kubernetes' own are not."""
    file = tmp_path / "models.yaml"
    file.write_text(CATALOG)

    def told(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["render", "-f", str(file), "--api-versions", ",".join(words)])
        assert done.exit_code == 0, done.stderr
        return done.stderr.splitlines()

    right = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1", "policy/v1/PodDisruptionBudget", "v1")
    assert told(*right) == []
    misspelt, kind = "monitoring.coreos.com/v1/PodMonitr", "monitoring.coreos.com/v1/PodMonitor"
    assert told(*right, misspelt, "example.org/v7") == [
        "--api-versions: nothing is `auto` for example.org/v7",
        f"--api-versions: nothing is `auto` for {misspelt}; did you mean {kind}?",
    ]


def test_render_makes_what_is_auto_where_its_kind_is_named(tmp_path: Path) -> None:
    """Kubernetes' own kinds are made always, custom ones once --api-versions names them; a bad word is exit code 2."""
    file = tmp_path / "models.yaml"
    file.write_text(CATALOG)

    def kinds(*more: str) -> set[str]:
        done = CliRunner().invoke(app, ["render", "-f", str(file), "-o", "json", *more])
        assert done.exit_code == 0, done.stderr
        return {one["object"]["kind"] for one in json.loads(done.stdout)["data"]["manifests"]}

    plain = kinds()
    assert "PodDisruptionBudget" in plain
    assert kinds("--api-versions", "monitoring.coreos.com/v1/PodMonitor") - plain == {"PodMonitor"}
    wrong = CliRunner().invoke(app, ["render", "-f", str(file), "--api-versions", "PodMonitor"])
    assert (wrong.exit_code, wrong.stdout) == (2, "")
