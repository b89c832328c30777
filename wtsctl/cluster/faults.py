"""What goes wrong between here and the API server, in the user's words.

Status objects: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from wtsctl.cluster.patience import Broken
from wtsctl.errors import ClusterError, ClusterRefused, ClusterUnauthorized, ClusterUnreachable, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wtsctl.cluster.config import Connection

# OpenSSL's X509_V_ERR_*: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_CERT_HAS_EXPIRED = 10
_HOSTNAME_MISMATCH, _IP_MISMATCH = 62, 64


class ApiRefused(ClusterRefused):
    """The API server's own no, with what it said in a form to act on.

    Attributes:
        status: the HTTP status.
        reason: Status.reason, such as `Forbidden`, `Conflict`, `Invalid`, `NotFound`; may be empty.
        causes: of a conflict, each field with its field manager; of an invalid object, each field with what is wrong.
        doubt: whether what was asked for may have been done all the same.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        causes: Iterable[tuple[str, str]] = (),
        doubt: bool = False,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
        self.doubt = doubt

    @property
    def problem(self) -> Problem:
        """The refusal as data."""
        return self.problems[0]


class NeverSent(ClusterUnreachable):
    """The request never reached the API server, so that nothing was done."""


def broken(error: Exception) -> Broken | None:
    """How a request got no answer; None where sending it again would end in the same; `error` is urllib3's."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ReadTimeoutError):
        return Broken.SLOW
    if isinstance(error, exceptions.ProtocolError):
        return Broken.CUT
    # `NewConnectionError` is a timeout too, by urllib3's tree. A handshake that is cut off sends nothing either.
    cut = any(isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) for cause in _causes(error))
    if cut or isinstance(error, (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)):
        return Broken.UNREACHED
    return None


def left_open(status: int, data: bytes) -> bool:
    """Whether an answer leaves open if what was asked for was done.

    A gateway that lost the API server, and an error inside of it, such as a timeout of etcd's. A webhook that failed
    did so before anything was stored.
    """
    return status in {502, 504} or (status == 500 and b"webhook" not in data)  # noqa: PLR2004


def unreachable(error: Exception, connection: Connection, *, doubt: bool = True) -> ClusterError:
    """The error for a request that got no answer.

    Args:
        error: urllib3's.
        connection: who asked.
        doubt: whether what was asked for may have been done all the same.
    """
    host, source = connection.host, connection.source
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, host, source)
        if isinstance(cause, ssl.SSLError):
            return _tls_failed(cause, host, source)
    message, hint = _no_connection(error, host)
    return (ClusterUnreachable if doubt else NeverSent)(message, where=source, hint=hint)


def _no_connection(error: Exception, host: str) -> tuple[str, str]:
    """What to say, and what to do, where it never came to TLS."""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return (
            f"the name of the API server {host} cannot be resolved",
            "check the server's address in the kubeconfig, DNS, and whether a VPN is needed",
        )
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return (
            f"nothing listens at the API server's address {host}",
            "is the cluster running, and is this its address? for the sandbox: `wtsctl sandbox status`",
        )
    name = type(error).__name__
    if "Timeout" in name:
        return (
            f"the API server {host} did not answer in time",
            "check the network, a firewall or VPN, and the load of the API server",
        )
    if "Proxy" in name:
        return (
            f"the HTTP proxy in front of the API server {host} does not let us through: {error}",
            "see HTTPS_PROXY and NO_PROXY, and `proxy-url` in the kubeconfig",
        )
    return f"the connection to the API server {host} broke: {causes[-1]}", ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what lies under it: as cause, context, or the argument it was made with."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        argument = next((one for one in error.args if isinstance(one, BaseException)), None)
        error = argument or getattr(error, "reason", None) or error.__cause__ or error.__context__
        if not isinstance(error, BaseException):
            return


def _untrusted(error: ssl.SSLCertVerificationError, host: str, source: str) -> ClusterUnreachable:
    if error.verify_code == _CERT_HAS_EXPIRED:
        message = f"the certificate of the API server {host} has expired"
        hint = "renew it on the cluster; check this machine's clock"
    elif error.verify_code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
        message = f"the certificate of the API server {host} is for another name: {error.verify_message}"
        hint = "use an address the certificate names, or set `tls-server-name` in the kubeconfig"
    else:
        message = f"the certificate of the API server {host} is not trusted: {error.verify_message}"
        hint = "the kubeconfig's certificate-authority is not the one that signed it"
    return ClusterUnreachable(message, where=source, hint=hint)


def _tls_failed(error: ssl.SSLError, host: str, source: str) -> ClusterError:
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return ClusterUnauthorized(
            f"the API server {host} does not accept our client certificate: {reason}",
            where=source,
            hint="get a new kubeconfig; client certificates expire",
        )
    hint = "the kubeconfig's `server` may want http:// or another port" if "wrong version" in reason else ""
    return ClusterUnreachable(f"no TLS connection to the API server {host}: {reason}", where=source, hint=hint)


def refused(
    status: int,
    body: Mapping[str, Any] | None,
    text: str,
    where: str,
    connection: Connection,
    *,
    doubt: bool = False,
) -> ClusterError:
    """The error for an answer that is no success.

    Args:
        status: the HTTP status.
        body: the answer as an object, where it is one.
        text: the beginning of the answer, for when it is none.
        where: the object or list that was asked for.
        connection: who asked.
        doubt: whether what was asked for may have been done all the same, now or by an earlier try.
    """
    if status == 404 and text.strip() == "404 page not found":  # noqa: PLR2004 - HTTP's numbers are clear
        # What an API server says, as plain text, about a group or version that it does not serve.
        return ApiRefused(status, "NotFound", "the API server does not serve this kind", where=where)
    if body is None or body.get("kind") != "Status":
        shown = " ".join(text.split())[:200] or "nothing"
        return ClusterUnreachable(
            f"{connection.host} does not answer like an API server: HTTP {status}, {shown}", where=connection.source
        )
    message, reason = str(body.get("message", "")), str(body.get("reason", ""))
    if status == 401:  # noqa: PLR2004
        return _unauthorized(connection)
    details = body.get("details") or {}
    causes = [cause for cause in details.get("causes") or [] if isinstance(cause, dict)]
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if conflicts:
        owned = "; ".join(
            f"{cause.get('field', '?')} ({str(cause.get('message', '')).removeprefix('conflict with ')})"
            for cause in conflicts
        )
        return ApiRefused(
            status,
            "Conflict",
            f"fields are owned by someone else: {owned}",
            where=where,
            hint="leave those fields to their owner, or take them over with --force-conflicts",
            causes=[(str(cause.get("field", "?")), _manager(str(cause.get("message", "")))) for cause in conflicts],
        )
    if reason == "Invalid" and causes:
        fields = "; ".join(f"{cause.get('field', '?')}: {cause.get('message', '')}" for cause in causes)
        each = [(str(cause.get("field", "?")), str(cause.get("message", ""))) for cause in causes]
        return ApiRefused(status, reason, fields, where=where, causes=each)
    hints = {
        "Forbidden": "someone with more rights has to grant this, or use another --context",
        "TooManyRequests": "the API server is overloaded; try again later",
    }
    if reason == "Forbidden" and " is forbidden: User " not in message:
        hints = {}  # quota, Pod Security or another admission plugin, which says itself what it wants
    # What was refused for good now was so before.
    open_ = doubt and (status == 429 or status >= 500)  # noqa: PLR2004
    return ApiRefused(status, reason, message or f"HTTP {status}", where=where, hint=hints.get(reason, ""), doubt=open_)


def _manager(message: str) -> str:
    """The field manager of `conflict with "kubectl" with subresource "scale" using apps/v1`."""
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else ""  # noqa: PLR2004


def _unauthorized(connection: Connection) -> ClusterUnauthorized:
    from wtsctl.cluster.config import token_expired

    expired = " (its token has expired)" if token_expired(connection) else ""
    return ClusterUnauthorized(
        f"the API server {connection.host} does not accept the credentials{expired}",
        where=connection.source,
        hint="log in again or get a new kubeconfig; tokens and client certificates expire",
    )


def no_such_kind(api_version: str, kind: str, where: str = "") -> ApiRefused:
    """The error for a kind that the API server does not serve."""
    installer = next((name for suffix, name in _INSTALLERS.items() if api_version.startswith(suffix)), "")
    return ApiRefused(
        404,
        "NoKind",
        f"the cluster does not know the kind {kind} of {api_version}",
        where=where,
        hint=f"install {installer}" if installer else "install the operator or CRD that brings it",
    )


_INSTALLERS = {
    "serving.kserve.io/": "KServe (https://kserve.github.io/website), or use `runtime: vllm` for these models",
    "leaderworkerset.x-k8s.io/": "LeaderWorkerSet (https://lws.sigs.k8s.io)",
    "llamastack.io/": "the Llama Stack operator",
    "route.openshift.io/": "nothing on plain Kubernetes: Routes exist on OpenShift only",
    "monitoring.coreos.com/": "the Prometheus operator",
    "gateway.networking.k8s.io/": "the Gateway API's CRDs",
    "keda.sh/": "KEDA",
}
