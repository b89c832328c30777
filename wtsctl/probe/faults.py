"""httpx's exceptions as failures that say what happened and where."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wtsctl.probe.target import Target


def failure_of(error: Exception, target: Target, status: int | None) -> ProbeFailure:
    """What `error` means for someone who knows the endpoint but not httpx.

    Args:
        error: what httpx raised.
        target: where the request went.
        status: the HTTP status, if the error came after the response headers.
    """
    kind, message = _named(error, target)
    return ProbeFailure(kind, message, status)


def _named(error: Exception, target: Target) -> tuple[FailureKind, str]:
    where = urlsplit(target.address).netloc
    # With a proxy on the way, it is what is connected to.
    proxy = urlsplit(target.http_proxy or "").netloc.rpartition("@")[2]
    peer = f"the HTTP proxy {proxy}" if proxy else where
    causes = tuple(_causes(error))
    for cause in causes:
        found = _from_the_system(cause, where, peer)
        if found is not None:
            return found
    timeouts, last = target.timeouts, _last(causes)
    connecting = f"{min(timeouts.connect, timeouts.total):g} s"
    # The first that fits: a subclass stands before its parent.
    table: tuple[tuple[type[Exception], FailureKind, str], ...] = (
        (httpx.ConnectTimeout, FailureKind.REFUSED, f"no connection to {peer} within {connecting}"),
        (httpx.TimeoutException, FailureKind.TIMEOUT, f"no answer within {timeouts.total:g} s"),
        (httpx.ConnectError, FailureKind.REFUSED, f"cannot connect to {peer}: {last}"),
        (httpx.ProxyError, FailureKind.REFUSED, f"{peer} did not lead to {where}: {last}"),
        (httpx.NetworkError, FailureKind.DISCONNECTED, f"the connection broke off: {last}"),
    )
    for kind, failure, message in table:
        if isinstance(error, kind):
            return failure, message
    said = str(error)
    if "peer closed connection" in said or "disconnected" in said:
        return FailureKind.DISCONNECTED, "the server closed the connection before the answer was complete"
    return FailureKind.SHAPE, f"the answer is not HTTP/1.1: {printable(said, 200)}"


def _from_the_system(cause: BaseException, where: str, peer: str) -> tuple[FailureKind, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return FailureKind.TLS, f"the certificate of {where} is not trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return FailureKind.TLS, f"no TLS connection to {where}: {cause.reason or cause}"
    if isinstance(cause, socket.gaierror):
        return FailureKind.DNS, f"cannot resolve {peer}: {cause.strerror}"
    if isinstance(cause, ConnectionRefusedError):
        return FailureKind.REFUSED, f"{peer} refused the connection"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _last(causes: tuple[BaseException, ...]) -> str:
    """The operating system's own words, where there are some."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return printable(str(causes[0]), 200) or type(causes[0]).__name__
