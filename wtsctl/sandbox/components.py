"""What init starts: a pure description, from where everything is to arguments and health checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wtsctl.sandbox.config import CONTAINERD_SOCKET, LABEL, NODE
from wtsctl.sandbox.network import PODS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Check:
    """How a component is asked whether it works: one of the two.

    Attributes:
        url: answered with 200.
        socket: a Unix socket that takes connections.
        ca: file with the CA that an https `url` is verified with.
        certificate: path without suffix of the client certificate and key to show, if any.
    """

    url: str = ""
    socket: str = ""
    ca: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One process.

    Attributes:
        name: also that of its log.
        argv: program and arguments; no secret is among them.
        check: how its health is asked.
        after: the components that have to be healthy before it starts.
    """

    name: str
    argv: tuple[str, ...]
    check: Check
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on the loopback address that the control plane listens on."""

    apiserver: int = 6443
    etcd: int = 2379
    etcd_peer: int = 2380
    controller_manager: int = 10257
    scheduler: int = 10259


@dataclass(frozen=True, slots=True)
class Places:
    """Where the processes see things.

    Attributes:
        root: the sandbox's state folder.
        programs: program names to paths.
        name: the sandbox's name.
        address: the API server's address, and the node's.
        ports: where the control plane listens.
        cgroup: the cgroup that pods live under.
    """

    root: str
    programs: Mapping[str, str]
    name: str
    address: str
    ports: Ports = field(default_factory=Ports)
    cgroup: str = ""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.ports.apiserver}"


def control_plane(at: Places, *, alone: bool) -> tuple[Component, ...]:
    """etcd, the API server, the controller manager and the scheduler.

    Args:
        at: where everything is.
        alone: without a node: on this machine's loopback address rather than in a namespace.
    """
    pki, config, ports = f"{at.root}/pki", f"{at.root}/config", at.ports
    etcd = f"https://127.0.0.1:{ports.etcd}"
    serving = (f"--tls-cert-file={pki}/component.crt", f"--tls-private-key-file={pki}/component.key")
    return (
        Component(
            "etcd",
            (
                at.programs["etcd"],
                "--name=sandbox",
                f"--data-dir={at.root}/etcd",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls=https://127.0.0.1:{ports.etcd_peer}",
                f"--initial-advertise-peer-urls=https://127.0.0.1:{ports.etcd_peer}",
                f"--initial-cluster=sandbox=https://127.0.0.1:{ports.etcd_peer}",
                "--client-cert-auth",
                f"--trusted-ca-file={pki}/etcd-ca.crt",
                f"--cert-file={pki}/etcd.crt",
                f"--key-file={pki}/etcd.key",
                "--peer-client-cert-auth",
                f"--peer-trusted-ca-file={pki}/etcd-ca.crt",
                f"--peer-cert-file={pki}/etcd.crt",
                f"--peer-key-file={pki}/etcd.key",
                "--logger=zap",
                "--log-level=warn",
            ),
            Check(url=f"{etcd}/health", ca=f"{pki}/etcd-ca.crt", certificate=f"{pki}/etcd-client"),
        ),
        Component(
            "kube-apiserver",
            (
                at.programs["kube-apiserver"],
                f"--bind-address={'127.0.0.1' if alone else '0.0.0.0'}",  # noqa: S104 - a namespace of its own
                f"--advertise-address={at.address}",
                # A loopback address is refused as the endpoint of the Service `kubernetes`.
                *(("--endpoint-reconciler-type=none",) if alone else ()),
                f"--secure-port={ports.apiserver}",
                f"--tls-cert-file={pki}/apiserver.crt",
                f"--tls-private-key-file={pki}/apiserver.key",
                f"--client-ca-file={pki}/ca.crt",
                f"--authentication-config={config}/authentication.json",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                f"--etcd-servers={etcd}",
                f"--etcd-cafile={pki}/etcd-ca.crt",
                f"--etcd-certfile={pki}/etcd-client.crt",
                f"--etcd-keyfile={pki}/etcd-client.key",
                f"--kubelet-certificate-authority={pki}/ca.crt",
                f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
                f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
                "--kubelet-preferred-address-types=InternalIP",
                f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-username-headers=X-Remote-User",
                f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
                f"--proxy-client-key-file={pki}/front-proxy-client.key",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={pki}/service-account.pub",
                f"--service-account-signing-key-file={pki}/service-account.key",
                f"--service-cluster-ip-range={SERVICES}",
                "--allow-privileged=true",
                "--profiling=false",
            ),
            Check(url=f"https://{at.address}:{ports.apiserver}/readyz", ca=f"{pki}/ca.crt"),
            after=("etcd",),
        ),
        Component(
            "kube-controller-manager",
            (
                at.programs["kube-controller-manager"],
                "--bind-address=127.0.0.1",
                f"--secure-port={ports.controller_manager}",
                *serving,
                f"--kubeconfig={config}/controller-manager.kubeconfig",
                f"--authentication-kubeconfig={config}/controller-manager.kubeconfig",
                f"--authorization-kubeconfig={config}/controller-manager.kubeconfig",
                "--use-service-account-credentials",
                f"--service-account-private-key-file={pki}/service-account.key",
                f"--root-ca-file={pki}/ca.crt",
                f"--cluster-signing-cert-file={pki}/ca.crt",
                f"--cluster-signing-key-file={pki}/ca.key",
                "--allocate-node-cidrs",
                # Room for one node: it gets the pods' subnet, also when it is deleted and comes back.
                f"--cluster-cidr={PODS}",
                f"--node-cidr-mask-size={PODS.prefixlen}",
                f"--service-cluster-ip-range={SERVICES}",
                # It would make the folder for them on this machine.
                f"--flex-volume-plugin-dir={at.root}/volume-plugins",
                "--leader-elect=false",
                "--profiling=false",
            ),
            Check(url=f"https://127.0.0.1:{ports.controller_manager}/healthz", ca=f"{pki}/ca.crt"),
            after=("kube-apiserver",),
        ),
        Component(
            "kube-scheduler",
            (
                at.programs["kube-scheduler"],
                "--bind-address=127.0.0.1",
                f"--secure-port={ports.scheduler}",
                *serving,
                f"--kubeconfig={config}/scheduler.kubeconfig",
                f"--authentication-kubeconfig={config}/scheduler.kubeconfig",
                f"--authorization-kubeconfig={config}/scheduler.kubeconfig",
                "--leader-elect=false",
                "--profiling=false",
            ),
            Check(url=f"https://127.0.0.1:{ports.scheduler}/healthz", ca=f"{pki}/ca.crt"),
            after=("kube-apiserver",),
        ),
    )


def node(at: Places) -> tuple[Component, ...]:
    """containerd, the kubelet, kube-proxy and CoreDNS."""
    config = f"{at.root}/config"
    return (
        Component(
            "containerd",
            (at.programs["containerd"], f"--config={config}/containerd.toml", "--log-level=warn"),
            Check(socket=CONTAINERD_SOCKET),
        ),
        Component(
            "kubelet",
            (
                at.programs["kubelet"],
                f"--config={config}/kubelet.json",
                f"--kubeconfig={config}/kubelet.kubeconfig",
                "--root-dir=/var/lib/kubelet",
                "--cert-dir=/var/lib/kubelet/pki",
                f"--hostname-override={NODE}",
                f"--node-ip={at.address}",
                f"--node-labels={LABEL}={at.name}",
            ),
            Check(url="http://127.0.0.1:10248/healthz"),
            after=("containerd", "kube-apiserver"),
        ),
        Component(
            "kube-proxy",
            (at.programs["kube-proxy"], f"--config={config}/kube-proxy.json"),
            Check(url="http://127.0.0.1:10256/livez"),
            after=("kube-apiserver",),
        ),
        Component(
            "coredns",
            (at.programs["coredns"], f"-conf={config}/Corefile"),
            Check(url="http://127.0.0.1:8181/ready"),
            after=("kube-apiserver",),
        ),
    )
