"""Asking endpoints in the background while a deploy waits: an answer that is not the right one is asked for again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wtsctl.catalog.workload import Endpoint
from wtsctl.cluster.config import connect
from wtsctl.commands.readiness import Answers
from wtsctl.health.assess import assess
from wtsctl.health.index import Index
from wtsctl.health.model import Answer, ModelHealth, Subject

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

OBJECTS = Path(__file__).parents[1] / "unit" / "objects" / "ready.yaml"
MODELS = "/api/v1/namespaces/dep-fix/services/ready:8000/proxy/v1/models"


def listed(*names: str) -> dict[str, Any]:
    """What `/v1/models` answers."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def test_another_model_is_asked_for_again(httpserver: HTTPServer, tmp_path: Path) -> None:
    """A server that lists another id at first and then its own is seen to do so, and not asked any more."""
    httpserver.expect_ordered_request(MODELS).respond_with_json(listed("of-before"))
    httpserver.expect_ordered_request(MODELS).respond_with_json(listed("granite-8b"))
    config = {
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    subject = Subject("granite-8b", "vllm", "dep-fix", "ready", "ready", 1, "granite-8b")
    index = Index.of(one for one in yaml.safe_load_all(OBJECTS.read_text()) if one)
    news = threading.Event()
    endpoints = {"granite-8b": Endpoint("dep-fix", "ready", 8000, "/v1")}
    answers = Answers(connect(kubeconfig), endpoints, 5.0, tmp_path, news.set)
    seen: list[ModelHealth] = []
    for _ in range(100):
        seen.append(assess(subject, index, answers.of(assess(subject, index))))
        if seen[-1].ready:
            break
        news.wait(0.2)
        news.clear()
    assert next(one.answer for one in seen if one.answer) == Answer(("of-before",))
    assert seen[-1].ready
    answers.of(seen[-1])
    assert not news.wait(1.5)
    assert len(httpserver.log) == 2
