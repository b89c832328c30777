"""The components' configuration files, as text."""

from __future__ import annotations

import json

from wtsctl.sandbox.network import PODS

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
NODE = "sandbox"
"""The node's name."""
LABEL = "wtsctl.io/sandbox"
"""The node's label; its value is the sandbox's name."""
PAUSE_IMAGE = "localhost/wtsctl-pause:1"
DNS_DOMAIN = "cluster.local"


def authentication() -> str:
    """The API server's: anonymous requests may ask for its health and nothing else."""
    return json.dumps(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "anonymous": {
                "enabled": True,
                "conditions": [{"path": path} for path in ("/livez", "/readyz", "/healthz")],
            },
        },
        indent=1,
    )


def kubelet(*, root: str, address: str, cgroup: str) -> str:
    """The kubelet's.

    Args:
        root: the sandbox's state folder as the kubelet sees it.
        address: the node's.
        cgroup: the cgroup that pods live under.
    """
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{root}/pki/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{root}/pki/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{root}/pki/kubelet-server.key",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "clusterDNS": [address],
            "clusterDomain": DNS_DOMAIN,
            "resolvConf": f"{root}/config/resolv.conf",
            # There need not be a systemd; and cgroup v1 is refused unless told otherwise.
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": 10248,
            # A well-filled disk is normal on a workstation; it must not evict pods or remove images that no
            # registry has.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
            "serializeImagePulls": False,
        },
        indent=1,
    )


def kube_proxy(*, root: str) -> str:
    """kube-proxy's."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            # A second, by default, in which a Service that is ready is still refused.
            "nftables": {"minSyncPeriod": "100ms"},
            "clientConnection": {"kubeconfig": f"{root}/config/kube-proxy.kubeconfig"},
            "clusterCIDR": str(PODS),
            "hostnameOverride": NODE,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # The connection table's limits are the machine's, not the namespace's to set.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        },
        indent=1,
    )


def cni(*, state: str) -> str:
    """The pods' network: a pair of interfaces for each pod, and everything routed by the node.

    Not a bridge: a pod's answer to another on the same bridge would not pass the node's address translation
    unless the kernel has br_netfilter, and Services would not work between pods.
    """
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "sandbox",
            "plugins": [
                {
                    "type": "ptp",
                    "ipam": {
                        "type": "host-local",
                        "dataDir": f"{state}/addresses",
                        "ranges": [[{"subnet": str(PODS)}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}},
            ],
        },
        indent=1,
    )


def containerd(*, programs: str, cni_folder: str, snapshotter: str, restrict_oom: bool) -> str:
    """Containerd's.

    Args:
        programs: the folder with runc and the CNI plugins.
        cni_folder: the folder with the CNI configuration.
        snapshotter: how image layers become a root file system: `overlayfs` or `native`.
        restrict_oom: never ask for a lower oom_score_adj than our own, for which CAP_SYS_RESOURCE is needed.
    """
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
# It would make /opt/containerd.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins.'io.containerd.cri.v1.images']
snapshotter = "{snapshotter}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = {"true" if restrict_oom else "false"}

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{programs}"]
conf_dir = "{cni_folder}"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def corefile(*, root: str, address: str) -> str:
    """CoreDNS's: the cluster's names, and nothing else, since there is no way out."""
    return f"""\
.:53 {{
    bind {address}
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes {DNS_DOMAIN} in-addr.arpa {{
        kubeconfig {root}/config/coredns.kubeconfig
        pods insecure
    }}
    cache 30
    loadbalance
}}
"""
