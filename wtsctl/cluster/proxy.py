"""The way to a Service through the API server: what an HTTP client outside this package needs to take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from wtsctl.cluster.config import Connection


@dataclass(frozen=True, slots=True)
class ServiceProxy:
    """One Service port behind the API server's proxy.

    Attributes:
        base_url: `https://HOST/api/v1/namespaces/NS/services/NAME:PORT/proxy`, without a slash at its end.
        headers: the `Authorization` header as of now, empty with a client certificate; call it for each
            request, since a token from an exec plugin or a ServiceAccount is renewed when it nears its end.
        tls: verifies the API server and carries the client certificate; None for plain http.
        server_name: the name that the certificate is checked for, where the kubeconfig has `tls-server-name`.
        http_proxy: URL of the proxy between here and the API server, if any.
    """

    base_url: str
    headers: Callable[[], Mapping[str, str]]
    tls: ssl.SSLContext | None
    server_name: str | None
    http_proxy: str | None


def service_proxy(connection: Connection, namespace: str, service: str, port: int) -> ServiceProxy:
    """The way to `service:port` in `namespace` with the rights of `connection`; sends nothing."""
    from kubernetes.client.rest import should_bypass_proxies

    configuration = connection.configuration
    through = configuration.proxy
    if through and should_bypass_proxies(connection.host, configuration.no_proxy or ""):
        through = None
    return ServiceProxy(
        base_url=f"{connection.host}/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy",
        headers=connection.authorization,
        tls=connection.tls,
        server_name=connection.sni_hostname,
        http_proxy=through or None,
    )
