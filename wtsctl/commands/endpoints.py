"""The way from here to a model's endpoint, shared by the commands that ask endpoints."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from wtsctl.catalog.pods import SecretReference
    from wtsctl.catalog.workload import Endpoint
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import Connection
    from wtsctl.probe.target import Target, Timeouts


def way_to(connection: Connection, endpoint: Endpoint, timeouts: Timeouts, catalog: Path) -> Target:
    """`endpoint` by way of the API server, which any kubeconfig can reach; sends nothing.

    Through the service proxy, or, where the server asks for an API key, through a port-forward: the proxy passes no
    key on.

    Args:
        connection: the cluster.
        endpoint: where it answers inside the cluster.
        timeouts: bounds of one request.
        catalog: path of models.yaml, beside which the file of an API key is looked for.
    """
    return (
        _through_proxy(connection, endpoint, timeouts)
        if endpoint.key is None
        else _forwarded(connection, endpoint, endpoint.key, timeouts, catalog)
    )


def with_key(target: Target, endpoint: Endpoint, cluster: Callable[[], Connection], catalog: Path) -> Target:
    """A target at an address given by hand, with the API key that the server there asks for, if it does.

    The key is looked for when it is first needed: in its source on this machine, then in the cluster, if one is
    configured. A user name and password in the address go before it.
    """
    from dataclasses import replace

    from wtsctl.cluster.client import Client
    from wtsctl.errors import ClusterError

    if endpoint.key is None or target.headers():
        return target
    bearer = ApiKey(endpoint.key, endpoint.namespace, catalog)

    @contextmanager
    def opened() -> Iterator[str]:
        try:
            bearer.read(lambda: Client(cluster()))
        except ClusterError as error:
            text = (
                f"the server's API key is not on this machine, and no cluster can be asked: {error.problems[0].message}"
            )
            raise ConnectionError(text) from error
        yield ""

    return replace(target, headers=bearer.headers, opened=opened)


def _through_proxy(connection: Connection, endpoint: Endpoint, timeouts: Timeouts) -> Target:
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


def _forwarded(
    connection: Connection, endpoint: Endpoint, key: SecretReference, timeouts: Timeouts, catalog: Path
) -> Target:
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.forward import forward
    from wtsctl.errors import ClusterError
    from wtsctl.probe.target import Target

    client, bearer = Client(connection), ApiKey(key, endpoint.namespace, catalog)

    @contextmanager
    def opened() -> Iterator[str]:
        with ExitStack() as way:
            try:
                bearer.read(lambda: client)
                path = way.enter_context(forward(client, endpoint.namespace, endpoint.service, timeouts.connect))
            except ClusterError as error:
                raise ConnectionError(str(error.problems[0].message)) from error
            yield path

    return Target(
        base_url=f"http://{endpoint.service}.{endpoint.namespace}:{endpoint.port}{endpoint.prefix}",
        headers=bearer.headers,
        via="forward",
        timeouts=timeouts,
        opened=opened,
    )


class ApiKey:
    """The key that a server asks for: from its source on this machine, else from the Secret in the cluster.

    It is read once, when it is first needed, and stands in no text and no repr.
    """

    __slots__ = ("_catalog", "_lock", "_namespace", "_reference", "_value")

    def __init__(self, reference: SecretReference, namespace: str, catalog: Path) -> None:
        self._reference = reference
        self._namespace = namespace
        self._catalog = catalog
        self._lock = threading.Lock()
        self._value = ""

    def read(self, cluster: Callable[[], Client]) -> None:
        """Find the key; `cluster` is called if it is not on this machine.

        Raises:
            ConnectionError: it is nowhere, or is none; the message says where it was looked for.
            ClusterError: the cluster cannot be spoken to.
            UsageError: the file that it should come from cannot be read.
        """
        with self._lock:
            if not self._value:
                value = self._here() or self._there(cluster())
                if not value.isascii() or not value.isprintable() or " " in value:
                    # What is wrong with a header is said with the header.
                    text = f"the server's API key, {self._place}, has a space, a line end or another character"
                    raise ConnectionError(f"{text} that no HTTP header can carry")
                self._value = value

    def headers(self) -> Mapping[str, str]:
        """What carries it."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    @property
    def _place(self) -> str:
        return f"key {self._reference.key} of Secret {self._namespace}/{self._reference.name}"

    def _here(self) -> str:
        from wtsctl.commands.secrets import read_values

        source = self._reference.source
        return read_values((source,), self._catalog).known.get(source, "") if source else ""

    def _there(self, client: Client) -> str:
        from wtsctl.cluster.faults import ApiRefused
        from wtsctl.cluster.secret import secret_value

        name, key = self._reference.name, self._reference.key
        try:
            value = secret_value(client, self._namespace, name, key)
        except ApiRefused as error:
            raise ConnectionError(f"the server's API key cannot be read: {error.problem.message}") from error
        if not value:
            raise ConnectionError(f"the server's API key is not there: {self._place}")
        return value
