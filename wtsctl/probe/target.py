"""Where an endpoint is asked, over which way, and how long a request may take."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass


def _no_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a request may take: to connect, and from the first step to the last byte."""

    connect: float = 5.0
    total: float = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """One OpenAI-compatible endpoint and the way to it.

    Attributes:
        base_url: what stands before `/models` and `/chat/completions`, without a slash at its end.
        headers: gives the headers that authorize a request, as of now; they are sent and never shown.
        ssl_context: verifies the server; shared, since making one reads all root certificates. None for http.
        via: the way, as the table names it: `proxy` for the API server's service proxy, `forward` for a port-forward
            through it, `url` for an address given by hand.
        timeouts: bounds of one request.
        server_name: the name the certificate is checked for, where it is not the URL's host.
        http_proxy: URL of the HTTP proxy on the way, if any.
        opened: what has to be done before the first request; gives the path of the Unix socket at this end of the way,
            or nothing where `base_url` is connected to. Raises ConnectionError. None: nothing has to be done.
    """

    base_url: str
    headers: Callable[[], Mapping[str, str]] = field(default=_no_headers, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    via: str = "url"
    timeouts: Timeouts = Timeouts()
    server_name: str | None = None
    http_proxy: str | None = field(default=None, repr=False)
    opened: Callable[[], AbstractContextManager[str]] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The base URL without user name and password, for messages."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@cache
def _system_roots() -> ssl.SSLContext:
    # The system's store and SSL_CERT_FILE, as curl and kubectl use them, rather than a bundle of our own.
    return ssl.create_default_context()


def direct(url: str, timeouts: Timeouts) -> Target:
    """A target at an address given by hand, with the system's root certificates and proxy variables.

    A user name and password in `url` are sent as basic authorization, as curl does.

    Raises:
        ValueError: `url` is no http(s) URL with a host.
    """
    import httpx

    parts = urlsplit(url)
    if any(character.isspace() for character in url):
        raise ValueError("expected a URL without spaces")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an http:// or https:// URL with a host")
    if parts.query or parts.fragment:
        raise ValueError("expected a base URL without ? and #")
    # Apart from the URL, so that no message and no repr can show them.
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
    try:
        httpx.URL(bare)
    except httpx.InvalidURL as error:
        raise ValueError(f"expected a URL: {error}") from None
    return Target(
        base_url=bare,
        headers=_basic(parts),
        ssl_context=_system_roots() if parts.scheme == "https" else None,
        via="url",
        timeouts=timeouts,
        http_proxy=_environment_proxy(parts.scheme, parts.hostname),
    )


def _basic(parts: SplitResult) -> Callable[[], Mapping[str, str]]:
    if "@" not in parts.netloc:
        return _no_headers
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    value = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return lambda: {"Authorization": value}


def _environment_proxy(scheme: str, host: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for; none for this machine itself."""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
