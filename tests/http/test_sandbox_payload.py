"""Downloading the model server from a package index that misbehaves."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from wtsctl.errors import SandboxError
from wtsctl.sandbox.images import payload

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_httpserver import HTTPServer

WHEEL = "xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_{0}.manylinux_2_17_{0}.whl"


@pytest.fixture(autouse=True)
def only_this_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pip to the index of the test: no configuration file, no second source, no cache, little patience."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")


def left(cache: Path) -> list[str]:
    """What a failed download left in the cache, beside the lock."""
    return sorted(path.name for path in (cache / "images").iterdir() if path.suffix != ".lock")


def test_a_changed_wheel_is_refused(tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file under the pinned name with other bytes is refused, nothing of it is kept."""
    wheel = WHEEL.format(payload.machine())
    httpserver.expect_request("/simple/xllamacpp/").respond_with_data(
        f'<a href="/{wheel}">{wheel}</a>', content_type="text/html"
    )
    httpserver.expect_request(f"/{wheel}").respond_with_data(b"PK\x05\x06" + bytes(18))
    monkeypatch.setenv("PIP_INDEX_URL", httpserver.url_for("/simple"))
    with pytest.raises(SandboxError, match="a download is not the file that is pinned") as raised:
        payload.ensure(tmp_path, lambda _line: None)
    assert "PIP_INDEX_URL" in raised.value.problems[0].hint
    assert left(tmp_path) == []


def test_no_index_is_called_a_network_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no index answers, the message says so, the log has pip's output, and nothing is left half done."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        said: list[str] = []
        with pytest.raises(SandboxError, match="the network does not answer"):
            payload.ensure(tmp_path, said.append)
    assert len(said) == 1
    assert "pip" in (tmp_path / "logs" / "payload.log").read_text()
    assert left(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the cache folder should be is one message with its path, no traceback."""
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(SandboxError, match=f"cannot unpack the model server: .*{tmp_path}/images"):
        payload.ensure(tmp_path, lambda _line: None)


def test_a_payload_that_lost_a_file_is_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload folder without its weights is no payload, and what is left of it goes first."""
    key = payload.key((payload.SOURCE / "requirements.txt").read_bytes(), payload.machine())
    torn = tmp_path / "images" / f"payload-{key}"
    (torn / "site" / "xllamacpp").mkdir(parents=True)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    said: list[str] = []
    with pytest.raises(SandboxError, match="cannot download"):
        payload.ensure(tmp_path, said.append)
    assert said[0].startswith("downloading")
    assert left(tmp_path) == []
