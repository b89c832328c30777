"""Which API server, and as whom: kubeconfig or the pod's ServiceAccount, read by the official client.

`kubernetes.config` knows kubeconfig files, contexts, exec plugins, OIDC and in-cluster tokens; nothing of the
client's generated API classes is touched here (docs/adr/0007).
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wtsctl.errors import ClusterUnauthorized, ClusterUnreachable

_SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class NotConfigured(ClusterUnreachable):
    """Nobody named a cluster, and none is in the usual places."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one API server, shared by every client in the process.

    Attributes:
        configuration: the official client's `Configuration`, with host, CA, certificate, proxy and token.
        source: where it came from, for messages: `context 'x' of FILE` or `the pod's ServiceAccount`.
        tls: the context of every TLS connection; None when the server's URL is plain http.
    """

    configuration: Any
    source: str
    tls: ssl.SSLContext | None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def host(self) -> str:
        """The API server's URL, without a slash at its end."""
        return str(self.configuration.host).rstrip("/")

    @property
    def sni_hostname(self) -> str | None:
        """The name the server's certificate has to carry, where it is not the one in the URL."""
        return self.configuration.tls_server_name or None

    def authorization(self) -> dict[str, str]:
        """The `Authorization` header as of now, or nothing where a client certificate says who we are.

        Runs an exec plugin again, or reads the token file again, when the token is about to expire.
        """
        with self._lock, _plugin_messages() as messages:
            # The client's own name for the bearer token; asking for it runs its refresh hook.
            token = self.configuration.get_api_key_with_prefix("BearerToken")
        if messages and not token:
            raise _plugin_failed(messages[-1], self.source)
        return {"Authorization": str(token)} if token else {}

    def token_expiry(self) -> float | None:
        """Unix time at which the bearer token expires, where it is a JWT that says so."""
        token = str(self.configuration.api_key.get("BearerToken", "")).rpartition(" ")[2]
        parts = token.split(".")
        if len(parts) != 3:  # noqa: PLR2004 - a JWT is header.payload.signature
            return None
        try:
            expiry = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))).get("exp")
        except (ValueError, AttributeError):
            return None
        return float(expiry) if isinstance(expiry, (int, float)) else None


class _plugin_messages:  # noqa: N801 - reads as the statement it is
    """Collect what the client logs about a failing exec plugin; it would go on without credentials."""

    def __enter__(self) -> list[str]:
        self._messages: list[str] = []
        collected = self._messages

        class Collector(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                collected.append(record.getMessage())

        self._handler = Collector(logging.ERROR)
        logging.getLogger().addHandler(self._handler)
        return self._messages

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)


def connect(kubeconfig: Path | None = None, context: str | None = None) -> Connection:
    """Read `kubeconfig`, else $KUBECONFIG, else ~/.kube/config, else what a pod is given, as kubectl does.

    No request is sent yet.

    Raises:
        NotConfigured: there is no kubeconfig, and none was named.
        ClusterUnreachable: the one that was named is not there, it cannot be read, or lacks the context.
        ClusterUnauthorized: its exec plugin gave no credentials.
    """
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    present = [part for part in path.split(os.pathsep) if part and Path(part).expanduser().exists()]
    in_cluster = kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ
    if present:
        return _from_kubeconfig(os.pathsep.join(present), context)
    if in_cluster and _SERVICE_ACCOUNT_TOKEN.exists():
        return _from_service_account()
    if kubeconfig is not None or os.environ.get("KUBECONFIG"):
        origin = "--kubeconfig" if kubeconfig is not None else "$KUBECONFIG"
        raise ClusterUnreachable(f"{origin} names {path}, which does not exist", hint=_WHERE_FROM)
    raise NotConfigured(f"no cluster is configured: there is no {path}", hint=_WHERE_FROM)


_WHERE_FROM = (
    "give one with --kubeconfig or $KUBECONFIG; `wtsctl sandbox up` starts a cluster on this machine "
    "and `wtsctl sandbox env` prints its kubeconfig"
)


def _kubernetes_config() -> Any:
    """The official client's `kubernetes.config`, which carries no types."""
    from kubernetes import config

    return config


def _from_kubeconfig(path: str, context: str | None) -> Connection:
    import yaml
    from kubernetes import client

    config = _kubernetes_config()
    configuration = client.Configuration()
    try:
        with _plugin_messages() as messages:
            config.load_kube_config(config_file=path, context=context, client_configuration=configuration)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise ClusterUnreachable(
            f"the kubeconfig is not YAML: {getattr(error, 'problem', None) or error}", where=where
        ) from error
    except config.ConfigException as error:
        raise _config_error(path, context, str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ClusterUnreachable(f"the kubeconfig cannot be read: {reason}", where=path) from error
    except (binascii.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # The client trips over the wrong shape, a list where a mapping belongs, in its own way each time.
        raise ClusterUnreachable("this is not a kubeconfig, or part of it is broken", where=path) from error
    source = f"context '{context}' of {path}" if context else f"kubeconfig {path}"
    if not str(configuration.host).startswith(("https://", "http://")):
        raise ClusterUnreachable("the kubeconfig's cluster has no `server` URL", where=path)
    if messages and not configuration.api_key and not configuration.cert_file:
        raise _plugin_failed(messages[-1], source)
    return Connection(configuration, source, _tls(configuration, path))


def _from_service_account() -> Connection:
    from kubernetes import client

    config = _kubernetes_config()
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ClusterUnreachable(f"the pod's ServiceAccount cannot be used: {error}") from error
    return Connection(configuration, "the pod's ServiceAccount", _tls(configuration, "ServiceAccount"))


def _config_error(path: str, context: str | None, text: str) -> ClusterUnreachable:
    """Say in the user's words what `ConfigException` says in the client's."""
    if "in kube-config/contexts list" in text or "/contexts list" in text:
        if context is None:
            return ClusterUnreachable(
                "the kubeconfig's current-context is not among its contexts",
                where=path,
                hint=f"choose one with --context: {_contexts(path)}",
            )
        return ClusterUnreachable(
            f"the kubeconfig has no context '{context}'", where=path, hint=f"it has: {_contexts(path)}"
        )
    if "Expected key current-context" in text:
        return ClusterUnreachable(
            "the kubeconfig has no current-context",
            where=path,
            hint=f"choose one with --context: {_contexts(path)}",
        )
    if "file is empty" in text or "No configuration found" in text:
        return ClusterUnreachable("the kubeconfig is empty", where=path)
    return ClusterUnreachable(f"the kubeconfig cannot be used: {text}", where=path)


def _contexts(path: str) -> str:
    import yaml

    names: list[str] = []
    for part in path.split(os.pathsep):
        document = yaml.safe_load(Path(part).expanduser().read_text()) or {}
        names += [str(entry.get("name")) for entry in document.get("contexts") or [] if isinstance(entry, dict)]
    return ", ".join(names) or "none"


def _plugin_failed(message: str, source: str) -> ClusterUnauthorized:
    return ClusterUnauthorized(
        f"the credential plugin of {source} failed: {message}",
        hint="log in again with the tool that wrote the kubeconfig",
    )


def _tls(configuration: Any, path: str) -> ssl.SSLContext | None:
    """One TLS context for every connection, of this package and of the endpoint probes."""
    if not str(configuration.host).startswith("https"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif configuration.ssl_ca_cert:
            context.load_verify_locations(cafile=configuration.ssl_ca_cert)
        else:
            context.load_default_certs()
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ClusterUnreachable(
            f"a certificate or key in the kubeconfig cannot be loaded: {getattr(error, 'reason', None) or error}",
            where=path,
        ) from error
    return context


def token_expired(connection: Connection, now: float | None = None) -> bool:
    """Whether the bearer token says of itself that it has expired; `now` is Unix time."""
    expiry = connection.token_expiry()
    return expiry is not None and expiry <= (time.time() if now is None else now)
