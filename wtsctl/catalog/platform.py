"""What stands around the models: the weights' volume, tokens, network rules, monitoring, quotas, access."""

from typing import Literal, Self

from pydantic import Field, model_validator

from wtsctl.catalog.entry import Entry, Mode, Switch
from wtsctl.catalog.forms import AddressRange, Bytes, DnsLabel, DnsSubdomain, Duration, SecretKey, Uri
from wtsctl.catalog.pods import Labels, SecretReference


class Secrets(Entry):
    """Secrets that the workloads read."""

    huggingface: SecretReference | None = Field(None, description="token for downloading gated models")


class Cache(Entry):
    """The volume that keeps downloaded weights between pod starts."""

    claim: DnsSubdomain = Field(description="name of the PersistentVolumeClaim")
    size: Bytes = Field(description="storage asked for, for example 500Gi")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"] = Field(
        "ReadWriteMany", description="ReadWriteMany lets several models download and read at once"
    )
    storage_class: DnsSubdomain | None = Field(None, description="unset: the cluster's default class")


class NetworkPolicy(Entry):
    """Who may speak to the models and to Llama Stack; everything else is denied."""

    mode: Switch = Field(Mode.OFF, description="on: deny all incoming traffic but what models.yaml needs")
    namespaces: tuple[DnsLabel, ...] = Field(
        (), strict=False, description="further namespaces whose pods may speak to the models and to Llama Stack"
    )
    monitoring: DnsLabel | None = Field(None, description="namespace of the Prometheus that reads their metrics")
    ingress: DnsLabel | None = Field(
        None,
        description="namespace of the pods that pass on requests from outside; needed for what is exposed by an "
        "Ingress or HTTPRoute. A Route's come from OpenShift's own router, which is known",
    )
    api_server: tuple[AddressRange, ...] | None = Field(
        None,
        strict=False,
        description="addresses from which the API server reaches pods: `deploy`, `status` and `smoke-test` go through "
        "its proxy. Needed unless mode is off; [] where nothing goes through the proxy, and on OpenShift",
    )


class PrometheusToken(Entry):
    """What KEDA shows a Prometheus that asks who it is, such as OpenShift's; of one Secret or ServiceAccount."""

    service_account: DnsSubdomain | None = Field(
        None,
        description="ServiceAccount, in each namespace of autoscaled models, that KEDA asks the cluster for a token of",
    )
    secret: DnsSubdomain | None = Field(None, description="Secret with a token, in each namespace of autoscaled models")
    key: SecretKey = Field("token", description="key of the token in that Secret")
    ca_key: SecretKey | None = Field(
        None,
        description="key of the CA certificate in that Secret that the server is verified with; unset: those that KEDA "
        "trusts",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.service_account is None) == (self.secret is None):
            raise ValueError("expected either serviceAccount or secret")
        if self.secret is None and self.model_fields_set & {"key", "ca_key"}:
            raise ValueError("`key` and `caKey` belong to `secret`")
        return self


class Monitoring(Entry):
    """How Prometheus and Grafana see the models."""

    monitors: Switch = Field(Mode.AUTO, description="a PodMonitor or ServiceMonitor for each model")
    kind: Literal["PodMonitor", "ServiceMonitor"] = Field("PodMonitor", description="which of the two")
    interval: Duration = Field("15s", description="how often metrics are read")
    rules: Switch = Field(Mode.AUTO, description="a PrometheusRule with alerts, the latency budgets among them")
    dashboard: Switch = Field(Mode.OFF, description="a ConfigMap with a dashboard, for Grafana's sidecar")
    labels: Labels = Field(
        default_factory=dict, description="labels that Prometheus selects monitors and rules by, such as release: ..."
    )
    prometheus: Uri | None = Field(None, description="address of Prometheus, which KEDA asks for waiting requests")
    prometheus_token: PrometheusToken | None = Field(
        None, description="where that Prometheus asks for a bearer token; unset: it asks for none"
    )


class Quota(Entry):
    """A ResourceQuota for each namespace of models, as large as what is in models.yaml needs."""

    mode: Switch = Field(Mode.OFF, description="on: nothing else fits into the namespaces")
    headroom: float = Field(
        0.0, ge=0, le=10, description="part of the sum that is added to it: 0.5 leaves room for half as much again"
    )


class PriorityClass(Entry):
    """The PriorityClass of the models, so that they are not put out by lesser work."""

    name: DnsSubdomain = Field(description="its name, for the whole cluster")
    value: int = Field(1_000_000, ge=1, le=1_000_000_000, description="pods of a higher value are scheduled first")
    preemption: Literal["PreemptLowerPriority", "Never"] = Field(
        "PreemptLowerPriority", description="whether running pods of a lower value may be stopped for them"
    )


class Access(Entry):
    """A ServiceAccount with just the rights that wtsctl needs, for CI."""

    mode: Switch = Field(Mode.OFF, description="on: ServiceAccount, Role and RoleBinding are made")
    name: DnsLabel = Field("wtsctl-ci", description="name of the ServiceAccount, Roles and bindings")
    namespace: DnsLabel | None = Field(None, description="namespace of the ServiceAccount; unset: `defaults.namespace`")
    level: Literal["deploy", "smoke-test", "status"] = Field(
        "deploy",
        description="the command that it may run: status reads; smoke-test also asks the models; deploy also applies "
        "and deletes",
    )


class Platform(Entry):
    """What is made around the models. `auto` makes it where the cluster knows its kind."""

    pod_security: Literal["restricted", "baseline", "privileged"] | None = Field(
        None, description="Pod Security Standard that the namespaces enforce; unset: the cluster's own rule"
    )
    namespace_labels: Labels = Field(default_factory=dict, description="further labels of the namespaces")
    image_pull_secrets: tuple[DnsSubdomain, ...] = Field(
        (), strict=False, description="Secrets for private registries, in the namespaces of the pods"
    )
    pod_disruption_budgets: Switch = Field(Mode.ON, description="nodes are drained one pod of a model at a time")
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy, description="who may speak to whom")
    monitoring: Monitoring = Field(default_factory=Monitoring, description="metrics, alerts, dashboard")
    quota: Quota = Field(default_factory=Quota, description="how much the namespaces may hold")
    priority_class: PriorityClass | None = Field(None, description="unset: the cluster's default priority")
    access: Access = Field(default_factory=Access, description="rights for CI")
