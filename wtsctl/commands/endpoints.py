"""The way from here to a model's endpoint, shared by the commands that ask endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wtsctl.catalog.workload import Endpoint
    from wtsctl.cluster.config import Connection
    from wtsctl.probe.target import Target, Timeouts


def through_proxy(connection: Connection, endpoint: Endpoint, timeouts: Timeouts) -> Target:
    """`endpoint` by way of the API server's service proxy, which any kubeconfig can reach; sends nothing."""
    from wtsctl.cluster.proxy import service_proxy
    from wtsctl.probe.target import Target

    way = service_proxy(connection, endpoint.namespace, endpoint.service, endpoint.port)
    return Target(
        base_url=way.base_url + endpoint.prefix,
        headers=way.headers,
        ssl_context=way.tls,
        via="proxy",
        timeouts=timeouts,
        server_name=way.server_name,
        http_proxy=way.http_proxy,
    )
