"""What init starts, and with which arguments."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from wtsctl.sandbox import config
from wtsctl.sandbox.build import located
from wtsctl.sandbox.components import Component, Places, Ports, control_plane, node
from wtsctl.sandbox.layout import Layout

PROGRAMS = {name: f"/bin/{name}" for name in located(Layout.of().cache, {}, node=True)}
ISOLATED = Places("/state", PROGRAMS, "try", "10.213.0.2", cgroup="/wtsctl-00000000")
ALONE = Places("/state", PROGRAMS, "try", "127.0.0.1", Ports(6444, 1, 2, 3, 4))
WHOLE = (*control_plane(ISOLATED, alone=False), *node(ISOLATED))
LONE = control_plane(ALONE, alone=True)


def options(component: Component) -> dict[str, str]:
    """A component's arguments by name; a flag without a value is empty."""
    pairs = (argument.lstrip("-").partition("=") for argument in component.argv[1:])
    return {name: value for name, _, value in pairs}


def named(components: tuple[Component, ...], name: str) -> dict[str, str]:
    """The options of one of the components."""
    return options(next(component for component in components if component.name == name))


@pytest.mark.parametrize("components", [WHOLE, LONE])
def test_each_comes_after_what_it_needs(components: tuple[Component, ...]) -> None:
    """What a component waits for stands before it, so a start and a stop in order exist."""
    seen: set[str] = set()
    for component in components:
        assert set(component.after) <= seen
        seen.add(component.name)


def test_nothing_waits_that_need_not() -> None:
    """The container runtime starts beside etcd; all that talks to the API server starts at once when that is ready."""
    after = {component.name: set(component.after) for component in WHOLE}
    assert [name for name, needs in after.items() if not needs] == ["etcd", "containerd"]
    assert after["kubelet"] == {"containerd", "kube-apiserver"}
    assert all(needs == {"kube-apiserver"} for name, needs in after.items() if name.startswith(("kube-c", "kube-s")))


@pytest.mark.parametrize("components", [WHOLE, LONE])
def test_every_component_has_a_check(components: tuple[Component, ...]) -> None:
    """Readiness is asked of each: one URL or one socket, and https is verified."""
    for component in components:
        check = component.check
        assert bool(check.url) != bool(check.socket), component.name
        assert bool(check.ca) == check.url.startswith("https:"), component.name


@pytest.mark.parametrize("components", [WHOLE, LONE])
def test_no_secret_is_an_argument(components: tuple[Component, ...]) -> None:
    """Every user can read arguments: keys and tokens are passed as files."""
    for component in components:
        for argument in component.argv:
            assert not re.search(r"BEGIN|token=|password", argument)
            if "key" in argument.partition("=")[0]:
                assert argument.partition("=")[2].startswith("/state/pki/"), argument


def test_without_a_node_everything_is_on_loopback() -> None:
    """The control plane of an ordinary user is reachable from this machine alone, on the ports that were free."""
    text = " ".join(argument for component in LONE for argument in component.argv)
    assert "0.0.0.0" not in text
    assert set(re.findall(r"https?://([\d.]+):", text)) == {"127.0.0.1"}
    server = named(LONE, "kube-apiserver")
    assert (server["bind-address"], server["secure-port"]) == ("127.0.0.1", "6444")
    assert named(LONE, "kube-controller-manager")["secure-port"] == "3"
    assert named(LONE, "kube-scheduler")["bind-address"] == "127.0.0.1"
    assert {component.name for component in LONE}.isdisjoint({"kubelet", "containerd"})


def test_the_api_server_is_as_strict_as_a_real_one() -> None:
    """Node and RBAC authorization, NodeRestriction, client certificates to etcd, the kubelet's verified."""
    for components in (WHOLE, LONE):
        server = named(components, "kube-apiserver")
        assert server["authorization-mode"] == "Node,RBAC"
        assert server["enable-admission-plugins"] == "NodeRestriction"
        assert server["etcd-certfile"].endswith("etcd-client.crt")
        assert server["kubelet-certificate-authority"].endswith("ca.crt")
        assert "disable-admission-plugins" not in server
        etcd = named(components, "etcd")
        assert {"client-cert-auth", "peer-client-cert-auth"} <= etcd.keys()


def test_anonymous_requests_see_health_alone() -> None:
    """Everything else asks who is there."""
    document = json.loads(config.authentication())
    assert document["anonymous"]["enabled"] is True
    assert [item["path"] for item in document["anonymous"]["conditions"]] == ["/livez", "/readyz", "/healthz"]


def test_the_kubelet_works_on_both_cgroup_versions() -> None:
    """Version 1 is not refused, systemd is not needed, and pods live under a cgroup that `down` can remove."""
    kubelet = json.loads(config.kubelet(root="/state", address="10.213.0.2", cgroup="/wtsctl-1"))
    assert kubelet["failCgroupV1"] is False
    assert kubelet["cgroupDriver"] == "cgroupfs"
    assert kubelet["cgroupRoot"] == "/wtsctl-1"
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert kubelet["authorization"]["mode"] == "Webhook"


def test_a_full_disk_neither_evicts_pods_nor_removes_images() -> None:
    """The images come from no registry, so one that the kubelet removed would not come back."""
    kubelet = json.loads(config.kubelet(root="/state", address="10.213.0.2", cgroup="/wtsctl-1"))
    assert kubelet["imageGCHighThresholdPercent"] == 100
    assert kubelet["evictionHard"]["nodefs.available"] == "0%"


@pytest.mark.parametrize("restrict", [True, False])
def test_containerds_configuration_is_toml(restrict: bool) -> None:
    """It is read back as what was meant, and keeps containerd from making folders on the machine."""
    text = config.containerd(programs="/bin", cni_folder="/state/cni", snapshotter="overlayfs", restrict_oom=restrict)
    document = tomllib.loads(text)
    runtime = document["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is restrict
    assert runtime["cni"] == {"bin_dirs": ["/bin"], "conf_dir": "/state/cni"}
    assert document["plugins"]["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == config.PAUSE_IMAGE
    assert "io.containerd.internal.v1.opt" in document["disabled_plugins"]


def test_pods_find_names_at_the_nodes_address() -> None:
    """CoreDNS binds the address that the kubelet writes into pods."""
    kubelet = json.loads(config.kubelet(root="/state", address="10.213.0.2", cgroup="/wtsctl-1"))
    assert kubelet["clusterDNS"] == ["10.213.0.2"]
    corefile = config.corefile(root="/state", address="10.213.0.2")
    assert "bind 10.213.0.2" in corefile
    assert "forward" not in corefile, "there is no way out to forward to"


def test_the_corefile_uses_only_plugins_that_are_linked_in() -> None:
    """CoreDNS refuses a directive that it was compiled without."""
    from wtsctl.sandbox.programs import MODULE

    linked = set(re.findall(r'coredns/plugin/(\w+)"', (MODULE / "coredns" / "main.go").read_text()))
    ordered = re.search(r"Directives = \[\]string\{(.*?)\}", (MODULE / "coredns" / "main.go").read_text(), re.DOTALL)
    assert ordered is not None
    assert set(re.findall(r'"(\w+)"', ordered[1])) == linked
    used = set(re.findall(r"^    (\w+)", config.corefile(root="/s", address="1.2.3.4"), re.MULTILINE))
    assert used == linked


def test_the_pods_subnet_is_the_same_everywhere() -> None:
    """CNI, kube-proxy and the node's podCIDR agree."""
    plugins = json.loads(config.cni(state="/var/lib/cni"))["plugins"]
    subnet = plugins[0]["ipam"]["ranges"][0][0]["subnet"]
    assert json.loads(config.kube_proxy(root="/state"))["clusterCIDR"] == subnet
    manager = named(WHOLE, "kube-controller-manager")
    assert manager["cluster-cidr"] == subnet
    assert subnet.endswith(f"/{manager['node-cidr-mask-size']}"), "one node gets all of it, whatever its history"
