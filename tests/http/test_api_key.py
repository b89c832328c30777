"""API keys of model servers: found where the catalog says, sent with every request, and shown nowhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from werkzeug import Response

from tests.llamacpp import on_this_python, serving

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer
    from werkzeug import Request

    from wtsctl.sandbox.images.payload import Payload

KEY = "sk-7f3a9c-do-not-show"
CATALOG = """\
apiVersion: wtsctl/v1
name: small
defaults:
  namespace: llm
  images: {vllm: "vllm/vllm-openai:v0.33.0"}
models:
- name: smollm2-135m
  runtime: vllm
  model: org/model
  role: chat
  maxModelLen: 2048
  apiKey: {name: model-key, key: token, SOURCE}
  resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}
  smoke:
  - {name: hello, prompt: Say hello., maxTokens: 8, assert: [{minTokens: 1}]}
"""
SECRET = "/api/v1/namespaces/llm/secrets/model-key"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/llm/endpointslices"
EVENTS = (
    {"choices": [{"delta": {"content": "hello"}, "finish_reason": None}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}},
)


def catalog(folder: Path, source: str = "") -> Path:
    """A catalog whose one model asks for a key; `source` is where wtsctl finds it."""
    path = folder / "models.yaml"
    path.write_text(CATALOG.replace(", SOURCE", f", {source}" if source else ""))
    return path


def kubeconfig(folder: Path, url: str) -> Path:
    """A kubeconfig for an API server at `url`, without credentials."""
    path = folder / "kubeconfig"
    cluster = {"name": "fake", "cluster": {"server": url.rstrip("/")}}
    context = {"name": "fake", "context": {"cluster": "fake", "user": "nobody"}}
    users = [{"name": "nobody", "user": {}}]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [cluster],
        "contexts": [context],
        "users": users,
    }
    path.write_text(yaml.safe_dump(document))
    return path


def smoke_test(file: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a smoke test to its end; without a cluster in reach unless the arguments name one."""
    line = [sys.executable, "-m", "wtsctl", "smoke-test", "-f", str(file), "--repeat", "2", *arguments]
    given = {**os.environ, "KUBECONFIG": "/nowhere/kubeconfig", **environment}
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, env=given)


def model_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one model in the JSON envelope."""
    (model,) = json.loads(done.stdout)["data"]["models"]
    assert isinstance(model, dict)
    return model


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    """A model server that closes its API to whoever does not send the key, and says what was sent instead."""

    def guarded(request: Request) -> Response:
        sent = request.headers.get("Authorization", "")
        if sent != f"Bearer {KEY}":
            return Response(json.dumps({"error": f"wrong key: {sent}"}), 401, content_type="application/json")
        if request.path == "/v1/models":
            return Response(json.dumps({"data": [{"id": "smollm2-135m"}]}), content_type="application/json")
        stream = [f"data: {json.dumps(event)}\n\n" for event in EVENTS]
        return Response([*stream, "data: [DONE]\n\n"], content_type="text/event-stream")

    httpserver.expect_request("/v1/models").respond_with_handler(guarded)
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(guarded)
    return httpserver


@pytest.mark.parametrize("arguments", [(), ("-v", "-v"), ("-o", "json", "--samples")])
def test_key_from_the_environment(tmp_path: Path, server: HTTPServer, arguments: tuple[str, ...]) -> None:
    """Every request carries the key of the variable, and no output holds it, however much is asked for."""
    file = catalog(tmp_path, "fromEnv: MODEL_KEY")
    done = smoke_test(file, "--url", f"smollm2-135m={server.url_for('/v1')}", *arguments, MODEL_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert len(server.log) == 1 + 3
    assert KEY not in done.stdout + done.stderr


def test_key_from_a_file(tmp_path: Path, server: HTTPServer) -> None:
    """The file lies beside models.yaml; the line end that an editor adds is not part of the key."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    file = catalog(tmp_path, "fromFile: key")
    done = smoke_test(file, "--url", f"smollm2-135m={server.url_for('/v1')}")
    assert done.returncode == 0, done.stderr


def test_a_wrong_key_is_refused_and_not_repeated(tmp_path: Path, server: HTTPServer) -> None:
    """The server's refusal is shown without the key that it repeats."""
    file = catalog(tmp_path, "fromEnv: MODEL_KEY")
    wrong = "sk-another-secret"
    done = smoke_test(file, "--url", f"smollm2-135m={server.url_for('/v1')}", MODEL_KEY=wrong)
    assert done.returncode == 5
    assert "HTTP 401" in done.stdout + done.stderr
    assert "[hidden]" in done.stdout + done.stderr
    assert wrong not in done.stdout + done.stderr


def test_without_the_key_nothing_is_sent(tmp_path: Path, server: HTTPServer) -> None:
    """Where neither this machine nor a cluster has the key, the model fails with both said."""
    file = catalog(tmp_path, "fromEnv: MODEL_KEY")
    done = smoke_test(file, "--url", f"smollm2-135m={server.url_for('/v1')}", "-o", "json")
    assert done.returncode == 5
    message = model_of(done)["failure"]["message"]
    assert message.startswith("the server's API key is not on this machine, and no cluster can be asked: ")
    assert server.log == []


def test_key_from_the_cluster(tmp_path: Path, server: HTTPServer) -> None:
    """A key that somebody else put into the cluster is read from its Secret."""
    data = {"token": base64.b64encode(KEY.encode()).decode()}
    server.expect_request(SECRET).respond_with_json({"kind": "Secret", "apiVersion": "v1", "data": data})
    where = kubeconfig(tmp_path, server.url_for("/"))
    url = server.url_for("/v1")
    done = smoke_test(catalog(tmp_path), "--kubeconfig", str(where), "--url", f"smollm2-135m={url}")
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert data["token"] not in done.stdout + done.stderr


FORBIDDEN = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "Forbidden",
    "code": 403,
    "message": 'User "ci" cannot do this',
}
SLICE = {
    "metadata": {"name": "a", "namespace": "llm"},
    "ports": [{"name": "http", "port": 8000}],
    "endpoints": [
        {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "a-0"}},
        {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "a-1"}},
    ],
}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """A list of EndpointSlices."""
    return {"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {}, "items": list(items)}


def test_through_the_cluster_every_failure_has_its_words(tmp_path: Path, httpserver: HTTPServer) -> None:
    """Without --url the way is a port-forward to a ready pod; what stops it is data of the model, not an abort."""
    where, file = kubeconfig(tmp_path, httpserver.url_for("/")), catalog(tmp_path, "fromEnv: MODEL_KEY")

    def failure() -> str:
        done = smoke_test(file, "--kubeconfig", str(where), "-o", "json", MODEL_KEY=KEY)
        assert done.returncode == 5, done.stderr
        model = model_of(done)
        assert model["via"] == "forward"
        return str(model["failure"]["message"])

    slices = httpserver.expect_request(
        SLICES, query_string={"labelSelector": "kubernetes.io/service-name=smollm2-135m", "limit": "500"}
    )
    slices.respond_with_json(listed())
    assert failure() == "Service llm/smollm2-135m has no ready pod"
    slices.respond_with_json(listed(SLICE))
    httpserver.expect_request(
        "/api/v1/namespaces/llm/pods/a-1/portforward", query_string="ports=8000"
    ).respond_with_json(FORBIDDEN, status=403)
    assert failure() == 'the API server does not forward a port of this pod: User "ci" cannot do this'


def test_a_secret_that_may_not_be_read(tmp_path: Path, httpserver: HTTPServer) -> None:
    """The message names what may not be done; a Secret without the key is told from one that is not there."""
    where, file = kubeconfig(tmp_path, httpserver.url_for("/")), catalog(tmp_path)
    secret = httpserver.expect_request(SECRET)
    for answer, status, message in (
        (FORBIDDEN, 403, 'the server\'s API key cannot be read: User "ci" cannot do this'),
        ({"kind": "Secret", "data": {"other": "eA=="}}, 200, "the server's API key is not there: key token of Secret "),
    ):
        secret.respond_with_json(answer, status=status)
        done = smoke_test(file, "--kubeconfig", str(where), "-o", "json")
        assert done.returncode == 5, done.stderr
        assert model_of(done)["failure"]["message"].startswith(message)


@pytest.mark.parametrize("key", ["sk-first\nsk-second", "sk-with space", "sk-schlüssel"])
def test_a_key_that_no_header_can_carry(tmp_path: Path, server: HTTPServer, key: str) -> None:
    """It is told by its place; an HTTP library would repeat it in its error."""
    file = catalog(tmp_path, "fromEnv: MODEL_KEY")
    done = smoke_test(file, "--url", f"smollm2-135m={server.url_for('/v1')}", "-o", "json", MODEL_KEY=key)
    assert done.returncode == 5
    assert model_of(done)["failure"]["message"].startswith(
        "the server's API key, key token of Secret llm/model-key, has"
    )
    assert "sk-" not in done.stdout + done.stderr
    assert server.log == []


def test_a_real_server(tmp_path: Path, llamacpp_payload: Payload) -> None:
    """llama.cpp's server takes the key from the variable that the Deployment sets, and answers prompts only to it."""
    command, environment = on_this_python(llamacpp_payload)
    file = catalog(tmp_path, "fromEnv: MODEL_KEY")
    with serving(command, {**environment, "LLAMA_API_KEY": KEY}, tmp_path / "log") as running:
        url = f"smollm2-135m={running.url}/v1"
        assert smoke_test(file, "--url", url, MODEL_KEY=KEY).returncode == 0
        refused = smoke_test(file, "--url", url, MODEL_KEY="another")
    assert refused.returncode == 5
    assert "HTTP 401" in refused.stdout + refused.stderr
