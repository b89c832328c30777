"""What the Pod Security Standards forbid of a pod. Pods are plain dicts.

Source: kubernetes.io/docs/concepts/security/pod-security-standards; k8s.io/pod-security-admission, policy/check_*.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

BASELINE, RESTRICTED = "baseline", "restricted"
_HOST = ("hostNetwork", "hostPID", "hostIPC")
# Volumes that the `restricted` standard allows.
_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    )
)
# What `baseline` lets a container add, and the kernel settings that it lets a pod change.
_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
_SYSCTLS = frozenset(
    (
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
        *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    )
)


def forbidden(pod: Mapping[str, Any], standard: str) -> tuple[str, ...]:
    """What a standard forbids of a pod with this spec, in a few words each; empty where the pod is admitted.

    Args:
        pod: its spec.
        standard: `baseline` or `restricted`; any other, such as `privileged`, forbids nothing.
    """
    found = {BASELINE: _baseline, RESTRICTED: _restricted}.get(standard)
    return tuple(dict.fromkeys(found(pod))) if found else ()


def _baseline(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in _HOST if pod.get(name) is True)
    yield from (f"a volume of type {kind}" for kind in _volumes(pod) if kind == "hostPath")
    for setting in _items(_map(pod, "securityContext").get("sysctls")):
        if setting.get("name") not in _SYSCTLS:
            yield f"the kernel setting {setting.get('name')}"
    for container in _containers(pod):
        own = _map(container, "securityContext")
        if own.get("privileged") is True:
            yield "privileged"
        if more := _words(_map(own, "capabilities").get("add")) - _CAPABILITIES:
            yield f"the capability {', '.join(sorted(more))}"
        if any(port.get("hostPort") for port in _items(container.get("ports"))):
            yield "a port of the host"
        if own.get("procMount", "Default") != "Default":
            yield "an unmasked /proc"
        for profile in ("seccompProfile", "appArmorProfile"):
            if (_map(own, profile) or _map(pod, "securityContext", profile)).get("type") == "Unconfined":
                yield f"no {profile.removesuffix('Profile')} profile"


def _restricted(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in _HOST if pod.get(name) is True)
    yield from (f"a volume of type {kind}" for kind in _volumes(pod) if kind not in _VOLUMES)
    security = _map(pod, "securityContext")
    for container in _containers(pod):
        own = _map(container, "securityContext")
        if own.get("privileged") is True:
            yield "privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield "privilege escalation allowed"
        capabilities = _map(own, "capabilities")
        if "ALL" not in _words(capabilities.get("drop")) or _words(capabilities.get("add")) - {"NET_BIND_SERVICE"}:
            yield "capabilities not dropped"
        user = own.get("runAsUser", security.get("runAsUser"))
        if own.get("runAsNonRoot", security.get("runAsNonRoot")) is not True or user == 0:
            yield "root as its user"
        if (_map(own, "seccompProfile") or _map(security, "seccompProfile")).get("type") not in (
            "RuntimeDefault",
            "Localhost",
        ):
            yield "no seccomp profile"
    # Of what both forbid, the words for the stricter one say it already.
    said = frozenset(("privileged", "no seccomp profile", *_HOST, "a volume of type hostPath"))
    yield from (one for one in _baseline(pod) if one not in said and not one.startswith("the capability"))


def _volumes(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in _items(pod.get("volumes")):
        yield from (str(kind) for kind in volume if kind != "name")


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("containers", "initContainers"):
        yield from _items(pod.get(key))


def _items(given: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in given if isinstance(one, Mapping)) if isinstance(given, list) else ()


def _words(given: object) -> frozenset[str]:
    return frozenset(one for one in given if isinstance(one, str)) if isinstance(given, list) else frozenset()


def _map(holder: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = holder
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
