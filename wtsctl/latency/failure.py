"""Why a request got no complete answer. A failed request is data: it counts in the statistics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What happened; stable, for scripts to key on."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    GATEWAY = "gateway"
    STATUS = "status"
    NOT_SERVED = "not-served"
    NOT_JSON = "not-json"
    NOT_STREAMED = "not-streamed"
    SHAPE = "shape"
    TOO_LARGE = "too-large"
    ERROR = "error"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """A request without a complete answer.

    Attributes:
        kind: what happened. `gateway` is an error of the API server on the way to the endpoint, `status` one of
            the endpoint itself.
        message: one line for a person, safe to print: no control characters, no credentials.
        status: the HTTP status, where there was one.
    """

    kind: FailureKind
    message: str
    status: int | None = None

    @property
    def no_connection(self) -> bool:
        """Whether there is no connection to the server that was to be asked, or to the proxy before it."""
        return self.kind in {FailureKind.DNS, FailureKind.REFUSED, FailureKind.TLS}

    @property
    def unreachable(self) -> bool:
        """Whether there is no point in asking the same endpoint again at once."""
        return self.no_connection or self.kind is FailureKind.GATEWAY

    @property
    def costly(self) -> bool:
        """Whether asking the same again would most likely fail again, or cost a whole timeout each time."""
        return self.unreachable or self.kind is FailureKind.TIMEOUT

    @property
    def unauthorized(self) -> bool:
        """Whether the API server does not know our credentials."""
        return self.kind is FailureKind.GATEWAY and self.status == 401  # noqa: PLR2004 - HTTP's own number

    @property
    def refused_by_cluster(self) -> bool:
        """Whether the API server itself said no: it does not know us, or we may not do this."""
        return self.unauthorized or (self.kind is FailureKind.GATEWAY and self.status == 403)  # noqa: PLR2004

    def as_dict(self) -> dict[str, str | int | None]:
        """The failure as it stands in JSON."""
        return {"kind": self.kind.value, "message": self.message, "status": self.status}
