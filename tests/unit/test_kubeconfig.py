"""Kubeconfigs that are missing, empty, broken or incomplete: each is named with its file and what to do."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from wtsctl.cluster.config import connect, token_expired
from wtsctl.cluster.proxy import service_proxy
from wtsctl.errors import ClusterError, ClusterUnreachable

GOOD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "test",
    "clusters": [{"name": "one", "cluster": {"server": "http://api.example.com:8080/base/"}}],
    "users": [{"name": "me", "user": {"token": "abc"}}],
    "contexts": [{"name": "test", "context": {"cluster": "one", "user": "me"}}],
}


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Where the test's kubeconfig goes."""
    return tmp_path / "config"


def changed(**fields: Any) -> str:
    """The good kubeconfig with some of its keys replaced; None takes one away."""
    return yaml.safe_dump({key: value for key, value in (GOOD | fields).items() if value is not None})


def cluster(**fields: Any) -> list[dict[str, Any]]:
    """Its cluster, with other fields."""
    return [{"name": "one", "cluster": fields}]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is empty", ""),
        ("a: [", ":1:5: the kubeconfig is not YAML", ""),
        ("[]", "not a kubeconfig", ""),
        ("hello", "not a kubeconfig", ""),
        (changed(**{"current-context": None}), "has no current-context", "choose one with --context: test"),
        (changed(**{"current-context": "gone"}), "not among its contexts", "choose one with --context: test"),
        (changed(clusters=[]), "Expected object with name one", ""),
        (changed(clusters=cluster()), "no `server` URL", ""),
        (
            changed(clusters=cluster(server="https://h:1", **{"certificate-authority": "missing.crt"})),
            "missing.crt",
            "",
        ),
        (
            changed(clusters=cluster(server="https://h:1", **{"certificate-authority-data": "YWJj"})),
            "certificate or key in the kubeconfig cannot be loaded",
            "",
        ),
        (
            changed(clusters=cluster(server="https://h:1", **{"certificate-authority-data": "%%%"})),
            "",
            "",
        ),
    ],
)
def test_what_is_wrong_is_said(kubeconfig: Path, text: str, message: str, hint: str) -> None:
    """Each broken kubeconfig is one error that names the file."""
    kubeconfig.write_text(text)
    with pytest.raises(ClusterError) as raised:
        connect(kubeconfig)
    problem = raised.value.problems[0]
    assert str(kubeconfig) in str(problem)
    assert message in str(problem)
    assert hint in problem.hint


def test_binary_rubbish(kubeconfig: Path) -> None:
    """A file that is no text is no kubeconfig."""
    kubeconfig.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ClusterUnreachable, match=r"cannot be read|not YAML"):
        connect(kubeconfig)


def test_a_context_that_is_not_there(kubeconfig: Path) -> None:
    """An unknown --context is told together with the ones that there are."""
    kubeconfig.write_text(changed())
    with pytest.raises(ClusterUnreachable, match="has no context 'prod'") as raised:
        connect(kubeconfig, "prod")
    assert raised.value.problems[0].hint == "it has: test"


def test_no_file(tmp_path: Path) -> None:
    """A --kubeconfig that does not exist is named, and the sandbox offered."""
    with pytest.raises(ClusterUnreachable, match="nowhere, which does not exist") as raised:
        connect(tmp_path / "nowhere")
    assert "wtsctl sandbox up" in raised.value.problems[0].hint


def test_a_good_one(kubeconfig: Path) -> None:
    """Server and token come out, the slash at the URL's end does not; nothing secret is in the repr."""
    kubeconfig.write_text(changed())
    connection = connect(kubeconfig)
    assert connection.host == "http://api.example.com:8080/base"
    assert connection.authorization() == {"Authorization": "Bearer abc"}
    assert "abc" not in repr(connection)


def test_the_way_to_a_service(kubeconfig: Path) -> None:
    """The service proxy is a path below the server's own, with the same token."""
    kubeconfig.write_text(changed())
    way = service_proxy(connect(kubeconfig), "llm", "granite", 8000)
    assert way.base_url == "http://api.example.com:8080/base/api/v1/namespaces/llm/services/granite:8000/proxy"
    assert way.headers() == {"Authorization": "Bearer abc"}
    assert way.tls is None


def test_several_files(tmp_path: Path) -> None:
    """A list of files, as $KUBECONFIG may hold, is merged, and missing ones are passed over."""
    clusters, users = tmp_path / "clusters", tmp_path / "users"
    clusters.write_text(changed(users=[]))
    users.write_text(changed(clusters=[], contexts=[], **{"current-context": None}))
    connection = connect(Path(f"{clusters}:{tmp_path / 'missing'}:{users}"))
    assert connection.authorization() == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize(
    ("payload", "expired"), [({"exp": 1000}, True), ({"exp": 3000}, False), ({}, False), ("text", False)]
)
def test_a_token_that_says_when_it_ends(kubeconfig: Path, payload: Any, *, expired: bool) -> None:
    """The expiry of a JWT is read; of anything else nothing is claimed."""
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    kubeconfig.write_text(changed(users=[{"name": "me", "user": {"token": f"e30.{body}.c2ln"}}]))
    assert token_expired(connect(kubeconfig), now=2000) is expired
