"""Asks a component whether it works; the standard library is enough."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from wtsctl.sandbox.components import Check

# A busy machine answers late; an answer that takes longer than this is as good as none.
_TIMEOUT = 2.0


def healthy(check: Check) -> bool:
    """Whether the component answers its check; never raises for what it answers, or does not."""
    if check.socket:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_TIMEOUT)
            return client.connect_ex(check.socket) == 0
    url = urlsplit(check.url)
    connection: http.client.HTTPConnection
    if url.scheme == "https":
        context = _context(check.ca, check.certificate)
        connection = http.client.HTTPSConnection(str(url.hostname), url.port, timeout=_TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=_TIMEOUT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", url.path)
            return bool(connection.getresponse().status == http.client.OK)
        except (OSError, http.client.HTTPException):
            return False


@cache
def _context(ca: str, certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
    return context
