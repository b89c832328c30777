"""What the entries share that become pods: resources, placement, Secrets, where they are exposed."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from wtsctl.catalog.entry import Entry, without_null
from wtsctl.catalog.forms import (
    Bytes,
    DnsLabel,
    DnsSubdomain,
    Duration,
    EnvName,
    Host,
    LabelKey,
    Quantity,
    ResourceName,
    SecretKey,
    ServedName,
    UrlPath,
)
from wtsctl.catalog.quantity import parse_quantity

Environment = Annotated[dict[EnvName, str], BeforeValidator(without_null)]
"""Environment variables by name."""
Labels = Annotated[dict[LabelKey, str], BeforeValidator(without_null)]
"""Labels or annotations by their keys."""


class Gpu(Entry):
    """How a GPU is asked for."""

    resource: ResourceName = Field("nvidia.com/gpu", description="the extended resource of one GPU")
    product: ServedName | None = Field(
        None, description="value of the node label `nvidia.com/gpu.product` to run on; unset: any node"
    )


class Toleration(Entry):
    """A taint that pods may be scheduled in spite of."""

    key: LabelKey | None = Field(None, description="key of the taint; unset: every taint")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="whether `value` has to match")
    value: ServedName | None = Field(None, description="value of the taint, with operator Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="effect of the taint; unset: every effect"
    )


class ResourceList(Entry):
    """Amounts of cpu (cores) and memory (bytes), as Kubernetes quantities."""

    cpu: Quantity = Field(description="cores, for example 8 or 500m")
    memory: Bytes = Field(description="bytes, for example 64Gi")


class Resources(Entry):
    """Requests and limits of a model's container; GPUs are counted by `gpus`."""

    requests: ResourceList = Field(description="what the scheduler reserves")
    limits: ResourceList = Field(description="what the container may use at most")

    @model_validator(mode="after")
    def _requests_within_limits(self) -> Self:
        for name in ("cpu", "memory"):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if parse_quantity(request) > parse_quantity(limit):
                raise ValueError(f"requests.{name} ({request}) is more than limits.{name} ({limit})")
        return self


class ExternalSecret(Entry):
    """Where the External Secrets operator gets the value of a Secret from."""

    store: DnsSubdomain = Field(description="name of the SecretStore or ClusterSecretStore")
    store_kind: Literal["SecretStore", "ClusterSecretStore"] = Field(
        "ClusterSecretStore", description="kind of the store"
    )
    key: str = Field(min_length=1, description="name of the secret in the store")
    property: str | None = Field(None, min_length=1, description="part of that secret; unset: the whole of it")
    refresh_interval: Duration = Field("1h", description="how often the operator reads it again")


@dataclass(frozen=True, slots=True, order=True)
class SecretSource:
    """Where `deploy` reads the value of a Secret: an environment variable, or a file relative to models.yaml."""

    kind: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"${self.name}" if self.kind == "env" else self.name


class SecretReference(Entry):
    """Where a token lies in the cluster, and where it comes from; never the token itself.

    Without `fromEnv`, `fromFile` or `external` the Secret is somebody else's, and has to be there.
    """

    name: DnsSubdomain = Field(description="name of the Secret, in the namespace of the pod that reads it")
    key: SecretKey = Field(description="key inside the Secret")
    from_env: EnvName | None = Field(
        None, description="environment variable of wtsctl that `deploy` makes the Secret from"
    )
    from_file: str | None = Field(
        None, min_length=1, description="file that `deploy` makes the Secret from, relative to models.yaml"
    )
    external: ExternalSecret | None = Field(None, description="an ExternalSecret makes the Secret")

    @model_validator(mode="after")
    def _at_most_one_source(self) -> Self:
        given = self.model_fields_set & {"from_env", "from_file", "external"}
        if len(given) > 1:
            raise ValueError("expected at most one of fromEnv, fromFile and external")
        return self

    @property
    def source(self) -> SecretSource | None:
        """Where `deploy` reads the value; None where somebody else puts it into the cluster."""
        if self.from_env is not None:
            return SecretSource("env", self.from_env)
        return SecretSource("file", self.from_file) if self.from_file is not None else None


class Gateway(Entry):
    """The Gateway that an HTTPRoute belongs to."""

    name: DnsSubdomain = Field(description="name of the Gateway")
    namespace: DnsLabel | None = Field(None, description="its namespace; unset: that of the route")
    section_name: DnsSubdomain | None = Field(None, description="its listener; unset: all of them")


class Tls(Entry):
    """How the connection from outside is encrypted."""

    enabled: bool = Field(True, description="false: plain HTTP, which anybody on the way can read")
    secret: DnsSubdomain | None = Field(
        None,
        description="Ingress: Secret with the certificate, of type kubernetes.io/tls; unset: the controller's own",
    )
    termination: Literal["edge", "reencrypt"] = Field(
        "edge",
        description="Route: where TLS ends. reencrypt needs a server that speaks TLS, with a certificate of the "
        "cluster's service CA; none that wtsctl renders does so by itself",
    )


class Expose(Entry):
    """How an endpoint is reached from outside the cluster."""

    kind: Literal["Route", "Ingress", "HTTPRoute"] = Field(description="OpenShift, Ingress, or Gateway API")
    host: Host | None = Field(None, description="host name; a Route without one gets one from the cluster")
    path: UrlPath | None = Field(
        None,
        description="path that is passed on, with everything below it; unset: that of the API, such as /v1. A server "
        "answers more, without an API key: /metrics, /tokenize, /docs",
    )
    class_name: DnsSubdomain | None = Field(None, description="Ingress: its class; unset: the cluster's default")
    gateway: Gateway | None = Field(None, description="HTTPRoute: the Gateway")
    tls: Tls = Field(
        default_factory=Tls, description="how it is encrypted; an HTTPRoute has the TLS of its Gateway's listener"
    )
    timeout: Duration = Field("10m", description="longest time for one answer; routers cut after 30s to 60s by default")
    annotations: Labels = Field(default_factory=dict, description="further annotations of the object")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "HTTPRoute" and self.gateway is None:
            raise ValueError("an HTTPRoute needs `gateway`")
        if self.kind != "HTTPRoute" and self.gateway is not None:
            raise ValueError(f"`gateway` belongs to kind HTTPRoute, and this is of kind {self.kind}")
        if self.kind != "Ingress" and self.class_name is not None:
            raise ValueError(f"`className` belongs to kind Ingress, and this is of kind {self.kind}")
        if self.kind == "HTTPRoute" and "tls" in self.model_fields_set:
            raise ValueError("`tls` of an HTTPRoute is that of its Gateway's listener; leave it out")
        if self.kind == "Ingress" and self.tls.enabled and self.host is None:
            raise ValueError("an Ingress with TLS needs `host`; set it, or `tls: {enabled: false}` for plain HTTP")
        tls = self.tls.model_fields_set
        if self.kind != "Ingress" and "secret" in tls:
            raise ValueError(f"`tls.secret` belongs to kind Ingress, and this is of kind {self.kind}")
        if self.kind != "Route" and "termination" in tls:
            raise ValueError(f"`tls.termination` belongs to kind Route, and this is of kind {self.kind}")
        if not self.tls.enabled and tls - {"enabled"}:
            raise ValueError("`tls.enabled: false` leaves nothing for the other keys of `tls`")
        return self
