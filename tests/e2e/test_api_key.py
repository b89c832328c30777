"""A model that asks for an API key, on a real node: reached through a port-forward, and by nobody without the key."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.command import Wtsctl
from wtsctl.cluster import objects
from wtsctl.cluster.client import Client
from wtsctl.cluster.discovery import NAMESPACE
from wtsctl.cluster.forward import forward
from wtsctl.cluster.secret import secret_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandboxes import Cluster

pytestmark = pytest.mark.e2e

KEY = "sk-e2e-do-not-show"
CATALOG = """\
apiVersion: wtsctl/v1
name: {space}
defaults:
  namespace: {space}
  images: {{llamacpp: "wtsctl-sandbox/llamacpp:smollm2-135m"}}
models:
- name: guarded
  runtime: llamacpp
  model: /weights/SmolLM2-135M-Instruct.Q4_1.gguf
  role: chat
  maxModelLen: 512
  maxNumSeqs: 2
  threads: 1
  apiKey: {{name: guarded-key, key: token, fromEnv: WTSCTL_TEST_KEY}}
  resources: {{requests: {{cpu: 50m, memory: 256Mi}}, limits: {{cpu: 1, memory: 1Gi}}}}
  smoke:
  - {{name: any, prompt: Say something., maxTokens: 8, assert: [{{minTokens: 1}}]}}
"""


@pytest.fixture(scope="module")
def guarded(node: Cluster, space: str, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wtsctl]:
    """The model, deployed with its key, which deploy itself had to send to find that it answers."""
    catalog = tmp_path_factory.mktemp("guarded") / "models.yaml"
    catalog.write_text(CATALOG.format(space=space))
    wtsctl = Wtsctl(catalog, node.kubeconfig)
    os.environ["WTSCTL_TEST_KEY"] = KEY
    try:
        first = wtsctl("deploy", "-v", "--timeout", "5m", timeout=400)
    finally:
        del os.environ["WTSCTL_TEST_KEY"]
    assert first.code == 0, first.stdout + first.stderr
    assert KEY not in first.stdout + first.stderr
    assert secret_value(client, space, "guarded-key", "token") == KEY
    yield wtsctl
    if any(one["metadata"]["name"] == space for one in objects.list_all(client, NAMESPACE)[0]):
        objects.delete(client, NAMESPACE, "", space)


def test_without_the_variable_the_key_comes_from_the_cluster(guarded: Wtsctl) -> None:
    """Status and smoke-test read the Secret, reach the pod through a port-forward, and show no key."""
    status = guarded.json("status")
    assert status.code == 0, status.why
    assert "guarded" in status.data["models"][0]["serves"]
    smoke = guarded.json("smoke-test", "--samples")
    assert smoke.code == 0, smoke.why
    (model,) = smoke.data["models"]
    assert (model["via"], model["verdict"], model["prompts"][0]["answered"]) == ("forward", "PASS", 5)
    shown = guarded("smoke-test", "-v", "-v")
    assert KEY not in smoke.stdout + smoke.stderr + shown.stdout + shown.stderr + status.stdout


def test_a_wrong_key_gets_no_answer(guarded: Wtsctl) -> None:
    """The server really asks: with another key the prompts fail with 401, in 5 and not in 4: the cluster is well."""
    os.environ["WTSCTL_TEST_KEY"] = "sk-wrong"
    try:
        done = guarded.json("smoke-test")
    finally:
        del os.environ["WTSCTL_TEST_KEY"]
    assert done.code == 5
    assert "401" in done.stdout
    assert "sk-wrong" not in done.stdout + done.stderr


def test_the_socket_is_ours_and_goes_away(guarded: Wtsctl, client: Client, space: str) -> None:
    """Several connections share a forward, only this user can open its folder, and nothing of it stays."""
    assert guarded.catalog.exists()
    with forward(client, space, "guarded", 10.0) as path:
        assert Path(path).parent.stat().st_mode & 0o077 == 0
        for _ in range(3):
            with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as http:
                assert http.get("http://guarded/health").json() == {"status": "ok"}
                assert http.post("http://guarded/v1/chat/completions", json={}).status_code == 401
    assert not Path(path).parent.exists()


def test_the_proxy_passes_no_key_on(guarded: Wtsctl, client: Client, space: str) -> None:
    """Why there is a port-forward at all: the API server keeps the header to itself, so that the server says 401."""
    proxy = f"/api/v1/namespaces/{space}/services/guarded:8000/proxy/v1/chat/completions"
    line = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {KEY}"]
    configuration = client.connection.configuration
    line += ["--cert", configuration.cert_file, "--key", configuration.key_file, "-d", "{}"]
    done = subprocess.run([*line, f"{client.connection.host}{proxy}"], capture_output=True, text=True, check=False)
    assert re.fullmatch("401", done.stdout), done.stderr
    assert guarded.catalog.exists()
