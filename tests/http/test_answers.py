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
from wtsctl.health.state import Phase

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

OBJECTS = Path(__file__).parents[1] / "unit" / "objects" / "ready.yaml"
CHAT = "/api/v1/namespaces/dep-fix/services/ready:8000/proxy/v1/chat/completions"
CHOICES = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}]}
MODELS = "/api/v1/namespaces/dep-fix/services/ready:8000/proxy/v1/models"


def listed(*names: str) -> dict[str, Any]:
    """What `/v1/models` answers."""
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def seen_until_ready(httpserver: HTTPServer, folder: Path, *, tokens: bool) -> list[ModelHealth]:
    """Each different health of a model whose pods are ready, until it is ready too, or ten seconds are over."""
    config = {
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": httpserver.url_for("").rstrip("/")}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    subject = Subject("granite-8b", "vllm", "dep-fix", "ready", "ready", 1, "granite-8b")
    index = Index.of(one for one in yaml.safe_load_all(OBJECTS.read_text()) if one)
    news = threading.Event()
    endpoints = {"granite-8b": Endpoint("dep-fix", "ready", 8000, "/v1")}
    answers = Answers(connect(kubeconfig), endpoints, 5.0, folder, news.set, tokens=tokens)
    seen: list[ModelHealth] = []
    for _ in range(50):
        found = assess(subject, index, answers.of(assess(subject, index)))
        if not seen or seen[-1] != found:
            seen.append(found)
        if found.ready:
            break
        news.wait(0.2)
        news.clear()
    assert seen[-1].ready, seen
    answers.of(seen[-1])
    # It is not asked any more.
    assert not news.wait(1.5)
    return seen


def test_another_model_is_asked_for_again(httpserver: HTTPServer, tmp_path: Path) -> None:
    """A server that lists another id at first and then its own is seen to do so, and not asked any more."""
    httpserver.expect_ordered_request(MODELS).respond_with_json(listed("of-before"))
    httpserver.expect_ordered_request(MODELS).respond_with_json(listed("granite-8b"))
    seen = seen_until_ready(httpserver, tmp_path, tokens=False)
    assert next(one.answer for one in seen if one.answer) == Answer(("of-before",))
    assert len(httpserver.log) == 2


def test_a_listed_model_has_to_answer_a_token(httpserver: HTTPServer, tmp_path: Path) -> None:
    """A server that lists the model and fails at the first request is not ready; once it answers, it is."""
    httpserver.expect_request(MODELS).respond_with_json(listed("granite-8b"))
    error = {"error": {"message": "EngineCore encountered an issue", "type": "InternalServerError", "code": 500}}
    httpserver.expect_oneshot_request(CHAT, method="POST").respond_with_json(error, status=500)
    httpserver.expect_request(CHAT).respond_with_json(CHOICES)
    seen = seen_until_ready(httpserver, tmp_path, tokens=True)
    refused = next(one for one in seen if one.reason == "NoToken")
    assert refused.phase is Phase.ANSWERS
    assert "EngineCore encountered an issue" in refused.message
    asked = [request.get_json() for request, _ in httpserver.log if request.method == "POST"]
    assert [(one["model"], one["max_tokens"]) for one in asked] == [("granite-8b", 1)] * 2


def test_a_model_that_cannot_chat_completes(httpserver: HTTPServer, tmp_path: Path) -> None:
    """Without a chat template the one token is a completion's."""
    httpserver.expect_request(MODELS).respond_with_json(listed("granite-8b"))
    error = {"error": {"message": "default chat template is no longer allowed", "code": 400}}
    httpserver.expect_request(CHAT).respond_with_json(error, status=400)
    httpserver.expect_request(CHAT.replace("chat/", "")).respond_with_json(CHOICES)
    seen = seen_until_ready(httpserver, tmp_path, tokens=True)
    assert [one.reason for one in seen if one.reason == "NoToken"] == []


def test_an_answer_without_a_token_is_none(httpserver: HTTPServer, tmp_path: Path) -> None:
    """A success that holds no choice, as of something else that listens there, does not make a model ready."""
    httpserver.expect_request(MODELS).respond_with_json(listed("granite-8b"))
    httpserver.expect_oneshot_request(CHAT).respond_with_json({"choices": []})
    httpserver.expect_oneshot_request(CHAT).respond_with_data("<html>welcome</html>", content_type="text/html")
    httpserver.expect_request(CHAT).respond_with_json(CHOICES)
    seen = seen_until_ready(httpserver, tmp_path, tokens=True)
    told = [one.message for one in seen if one.reason == "NoToken"]
    assert "no choices" in told[0]
    assert "HTML page" in told[1]
