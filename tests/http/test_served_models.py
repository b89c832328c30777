"""What an endpoint says it serves, and every way it can fail to say it."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.llamacpp import on_this_python, serving
from tests.rawserver import RESET, RawServer, answer
from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.probe.models import ServedModels, list_models, served_models
from wtsctl.probe.session import Session
from wtsctl.probe.target import Target, Timeouts, direct

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llamacpp import LlamaCpp
    from tests.rawserver import Step
    from wtsctl.sandbox.images.payload import Payload

LISTING = answer(b'{"object":"list","data":[{"id":"granite-8b"},{"id":"granite","owned_by":"vllm"}]}')


def asked(*script: Step, total: float = 5.0) -> ServedModels | ProbeFailure:
    """What one server that plays `script` is found to serve."""
    with RawServer([script]) as server:
        return served_models(direct(server.url, Timeouts(total=total)))


def test_the_ids_in_order() -> None:
    """The ids of the list, with the time the answer took and what connecting cost."""
    found = asked(0.05, LISTING)
    assert isinstance(found, ServedModels)
    assert found.ids == ("granite-8b", "granite")
    assert 0.05 <= found.seconds < 1
    assert found.opening is not None
    assert 0 < found.opening.tcp < 1
    assert found.opening.tls is None


def test_a_real_server(llamacpp_server: LlamaCpp) -> None:
    """The server of llama.cpp lists the alias it was started with."""
    found = served_models(direct(f"{llamacpp_server.url}/v1", Timeouts()))
    assert isinstance(found, ServedModels)
    assert found.ids == (llamacpp_server.alias,)


def test_aliases_are_served_too() -> None:
    """The way of llama.cpp: one id and all names of the model beside it; each is served, once."""
    found = asked(answer(b'{"data":[{"id":"granite","aliases":["granite","granite-8b",7]},{"id":"x","aliases":7}]}'))
    assert isinstance(found, ServedModels)
    assert found.ids == ("granite", "granite-8b", "x")


def test_a_real_server_with_two_names(llamacpp_payload: Payload, tmp_path: Path) -> None:
    """Started with two names, llama.cpp's server is found to serve both."""
    command, environment = on_this_python(llamacpp_payload, "--alias", "llama-guard-3-8b,llama-guard")
    with serving(command, environment, tmp_path / "log") as server:
        found = served_models(direct(f"{server.url}/v1", Timeouts()))
    assert isinstance(found, ServedModels)
    assert set(found.ids) == {"llama-guard-3-8b", "llama-guard"}


def test_kserve_has_a_list_of_its_own() -> None:
    """What KServe 0.15 and 0.20 answer at /v1/models where their OpenAI routes are under /v1."""
    found = asked(answer(b'{"models":["granite-8b","granite-8b"]}'))
    assert isinstance(found, ServedModels)
    assert found.ids == ("granite-8b",)


@pytest.mark.parametrize(
    ("response", "kind", "message"),
    [
        (
            answer(b"<!doctype html><title>Sign in</title>", content_type="text/html"),
            "not-json",
            "answered with an HTML",
        ),
        (answer(b"hello", content_type="text/plain"), "not-json", "answered with text/plain instead of JSON: hello"),
        (answer(b'{"data":{}}'), "shape", "answered with JSON that is no list of models"),
        (answer(b'{"data":[{"name":"x"}]}'), "shape", "answered with JSON that is no list of models"),
        (answer(b'{"models":[{"name":"x"}]}'), "shape", "answered with JSON that is no list of models"),
        (answer(b"[" * 100_000), "not-json", "answered with application/json instead of JSON: ["),
        (answer(b'{"error":{"message":"loading"}}'), "error", "HTTP 200 with an error: loading"),
        (answer(b'{"error":{"message":"Loading model","code":503}}', "503 Busy"), "status", "HTTP 503: Loading model"),
        (answer(b'{"error":"key?"}', "401 Unauthorized"), "status", "HTTP 401: key?"),
        (answer(b"Not Found", "404 Not Found", "text/plain"), "status", "HTTP 404: Not Found"),
    ],
)
def test_other_answers(response: bytes, kind: str, message: str) -> None:
    """Whatever comes instead of a list is a failure that says what came."""
    found = asked(response)
    assert isinstance(found, ProbeFailure)
    assert found.kind.value == kind
    assert found.message.startswith(message)


def test_ids_are_safe_to_print() -> None:
    """An id is shown in tables, so escape sequences in it are made visible."""
    found = asked(answer(b'{"data":[{"id":"a\\u001b[2Jb"}]}'))
    assert isinstance(found, ServedModels)
    assert found.ids == ("a\\x1b[2Jb",)


def test_nobody_listens(closed_port: int) -> None:
    """A port that nobody listens on: refused, with the address."""
    found = served_models(direct(f"http://127.0.0.1:{closed_port}/v1", Timeouts()))
    assert found == ProbeFailure(FailureKind.REFUSED, f"127.0.0.1:{closed_port} refused the connection")


def test_a_host_that_swallows_connections() -> None:
    """No connection in time is no connection: the same kind, and the time that was waited."""
    with ExitStack() as stack:
        # Once its queue is full, Linux drops what else wants to connect.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        found = served_models(direct(f"http://127.0.0.1:{port}/v1", Timeouts(connect=0.3)))
    assert found == ProbeFailure(FailureKind.REFUSED, f"no connection to 127.0.0.1:{port} within 0.3 s")


def test_time_that_runs_out_before_the_connection_stands() -> None:
    """A time limit that is over while connecting still ends the request: here before there is a socket to cut."""
    drip: list[Step] = []
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500:
        drip += [bytes([byte]), 0.02]
    with RawServer([drip]) as server, Session(direct(server.url, Timeouts(total=5))) as session:
        began = time.monotonic()
        found = list_models(session, within=1e-6)
        assert time.monotonic() - began < 3
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.TIMEOUT


def test_no_such_host() -> None:
    """A name that does not resolve (`.invalid` never does, RFC 2606)."""
    found = served_models(direct("http://models.invalid/v1", Timeouts()))
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.DNS
    assert found.message.startswith("cannot resolve models.invalid: ")


def test_a_reset() -> None:
    """A connection that is reset before the answer."""
    found = asked(RESET)
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.DISCONNECTED


def test_hanging_endpoints_cost_their_own_timeout_each() -> None:
    """Eight endpoints asked at once, four of which never answer: all is over after one timeout."""
    with ExitStack() as stack:
        servers = [stack.enter_context(RawServer([[30.0] if n % 2 else [LISTING]])) for n in range(8)]
        targets = [direct(server.url, Timeouts(total=1.0)) for server in servers]
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(served_models, targets))
        took = time.monotonic() - began
    assert [isinstance(one, ServedModels) for one in found] == [True, False] * 4
    assert {one.message for one in found if isinstance(one, ProbeFailure)} == {"no answer within 1 s"}
    assert took < 3


def test_credentials_are_not_repeated() -> None:
    """A server that quotes the request's token in its error page does not get it printed."""
    with RawServer([[answer(b"bad token: t0ps3cret-token", "403 Forbidden", "text/plain")]]) as server:
        target = Target(server.url, headers=lambda: {"Authorization": "Bearer t0ps3cret-token"})
        found = served_models(target)
        assert "Bearer t0ps3cret-token" in server.requests[0][0]
    assert found == ProbeFailure(FailureKind.STATUS, "HTTP 403: bad token: [hidden]", 403)
    assert "t0ps3cret" not in repr(target)


def test_half_a_credential_is_not_repeated_either() -> None:
    """An error page that is cut in the middle of a long token does not show its first half."""
    token = "".join(chr(97 + n % 26) for n in range(900))
    with RawServer([[answer(f"bad token: {token}".encode(), "403 Forbidden", "text/plain")]]) as server:
        found = served_models(Target(server.url, headers=lambda: {"Authorization": f"Bearer {token}"}))
    assert found == ProbeFailure(FailureKind.STATUS, "HTTP 403: bad token: [hidden]...", 403)


def test_a_password_in_the_url_is_not_shown() -> None:
    """User name and password of a URL are sent, decoded as curl does, and stand in no message."""
    basic = base64.b64encode(b"me:pa/55").decode()
    with RawServer([[answer(f"no {basic}".encode(), "401 Unauthorized", "text/plain")]]) as server:
        target = direct(server.url.replace("//", "//me:pa%2F55@"), Timeouts())
        found = served_models(target)
        assert f"\r\nauthorization: basic {basic}\r\n".lower() in server.requests[0][0].lower() + "\r\n"
        assert target.address == target.base_url == server.url
    assert found == ProbeFailure(FailureKind.STATUS, "HTTP 401: no [hidden]", 401)
    assert "pa" not in repr(target)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"),
            *("-keyout", str(folder / "key"), "-out", str(folder / "certificate")),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both"
    both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return both


def test_an_untrusted_certificate(certificate: Path) -> None:
    """A certificate that no known authority signed ends the request before anything is sent."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with RawServer([[LISTING]], tls) as server:
        found = served_models(direct(server.url, Timeouts()))
        assert server.requests == []
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.TLS
    assert "is not trusted: self-signed certificate" in found.message


def test_a_trusted_certificate(certificate: Path) -> None:
    """With its authority in the target's context it is asked, and TLS has a time of its own."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with RawServer([[LISTING]], tls) as server:
        target = Target(server.url, ssl_context=ssl.create_default_context(cafile=certificate))
        found = served_models(target)
    assert isinstance(found, ServedModels)
    assert found.opening is not None
    assert found.opening.tls is not None
    assert found.opening.tls > 0


def test_a_hanging_server_behind_tls_is_cut_off(certificate: Path) -> None:
    """The limit on the whole request holds through TLS, where the socket lies under another object."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    drip: list[Step] = []
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500:
        drip += [bytes([byte]), 0.02]
    with RawServer([drip], tls) as server:
        trusted = ssl.create_default_context(cafile=certificate)
        began = time.monotonic()
        found = served_models(Target(server.url, ssl_context=trusted, timeouts=Timeouts(total=0.5)))
        assert time.monotonic() - began < 3
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.TIMEOUT


def test_plain_http_to_a_tls_port(certificate: Path) -> None:
    """`http://` where `https://` was meant ends in a connection that the server closes."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with RawServer([[LISTING]], tls) as server:
        found = served_models(direct(server.url.replace("https", "http"), Timeouts()))
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.DISCONNECTED


def test_tls_to_a_plain_port() -> None:
    """`https://` where `http://` was meant says that there is no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:

        def plain() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(answer(b"no", "400 Bad Request"))

        pool.submit(plain)
        port = listener.getsockname()[1]
        found = served_models(direct(f"https://127.0.0.1:{port}/v1", Timeouts()))
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.TLS
    assert found.message.startswith(f"no TLS connection to 127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    "url",
    [
        "granite:8000/v1",
        "ftp://x/v1",
        "http://",
        "http://x:port/v1",
        "http://x/v1?key=1",
        "",
        "http://[x/v1",
        "http://x y/v1",
        "http://x/v1\n",
        "http://x\x1b/v1",
    ],
)
def test_what_is_no_base_url(url: str) -> None:
    """Text that cannot be asked is refused before anything is sent."""
    with pytest.raises(ValueError, match=r".+"):
        direct(url, Timeouts())


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://models.example/v1", {"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("http://models.example/v1", {"HTTP_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ("http://models.example/v1", {"HTTPS_PROXY": "http://proxy:3128"}, None),
        ("http://models.example/v1", {"HTTP_PROXY": "proxy:3128", "NO_PROXY": ".example"}, None),
        ("http://127.0.0.1:8000/v1", {"HTTP_PROXY": "proxy:3128"}, None),
        ("http://localhost:8000/v1", {"ALL_PROXY": "proxy:3128"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxy: str | None
) -> None:
    """The proxy variables hold for addresses given by hand, and never for this machine itself."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert direct(url, Timeouts()).http_proxy == proxy


def test_an_http_proxy_on_the_way() -> None:
    """With a proxy named, the request goes to it, in the form that proxies take."""
    with RawServer([[LISTING]]) as proxy:
        found = served_models(Target("http://models.invalid/v1", http_proxy=proxy.url.removesuffix("/v1")))
        assert proxy.requests[0][0].startswith("GET http://models.invalid/v1/models HTTP/1.1\r\n")
    assert isinstance(found, ServedModels)


def test_a_proxy_that_is_down(closed_port: int) -> None:
    """A proxy that nobody listens on is named, not the endpoint behind it."""
    found = served_models(Target("http://models.invalid/v1", http_proxy=f"http://127.0.0.1:{closed_port}"))
    assert isinstance(found, ProbeFailure)
    assert found.kind is FailureKind.REFUSED
    assert found.message == f"the HTTP proxy 127.0.0.1:{closed_port} refused the connection"
