"""What is known of a kind without asking a cluster: whether every cluster serves it, and whether it has namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from wtsctl.catalog.fault import suggestion
from wtsctl.errors import UsageError

_NAMED = re.compile(r"(?:[a-z0-9.-]+/)?v[a-z0-9]+(?:/[A-Za-z][A-Za-z0-9]*)?")

# Kubernetes' own API groups, whose types are in k8s.io/api.
_GROUPS = frozenset(
    (
        "",
        "admissionregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    )
)
# API versions that every supported cluster serves; others of these groups depend on its release and settings.
_EVERYWHERE = frozenset(
    (
        "v1",
        "admissionregistration.k8s.io/v1",
        "apiextensions.k8s.io/v1",
        "apps/v1",
        "autoscaling/v1",
        "autoscaling/v2",
        "batch/v1",
        "certificates.k8s.io/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "events.k8s.io/v1",
        "networking.k8s.io/v1",
        "node.k8s.io/v1",
        "policy/v1",
        "rbac.authorization.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "storage.k8s.io/v1",
    )
)
# Of Kubernetes' own kinds, those whose objects lie in no namespace; tests/cluster/test_kinds.py compares.
_CLUSTER_SCOPED = frozenset(
    (
        ("", "ComponentStatus"),
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authentication.k8s.io", "TokenReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
        ("authorization.k8s.io", "SubjectAccessReview"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
    )
)


def group(api_version: str) -> str:
    """The group of an API version: `apps` of `apps/v1`, empty for `v1`."""
    return api_version.rpartition("/")[0]


def built_in(api_version: str) -> bool:
    """Whether the kinds of an API version are Kubernetes' own, and so have strategic merge patches."""
    return group(api_version) in _GROUPS


def everywhere(api_version: str) -> bool:
    """Whether every cluster serves the kinds of an API version."""
    return api_version in _EVERYWHERE


def cluster_scoped(api_version: str, kind: str) -> bool:
    """Whether a kind is one of Kubernetes' own whose objects lie in no namespace."""
    return (group(api_version), kind) in _CLUSTER_SCOPED


class Named:
    """What is known of a cluster by the words of `--api-versions`; called with an API version and a kind.

    Args:
        words: `GROUP/VERSION/KIND`, or `GROUP/VERSION` for all its kinds; several with commas between them.

    Raises:
        UsageError: a word has neither form.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._known = frozenset(part for word in words for part in word.split(","))
        self._asked: set[tuple[str, str]] = set()
        for word in sorted(self._known):
            if not _NAMED.fullmatch(word):
                hint = "for example monitoring.coreos.com/v1/PodMonitor, or monitoring.coreos.com/v1"
                raise UsageError(f"--api-versions: expected GROUP/VERSION/KIND, got '{word}'", hint=hint)

    def __call__(self, api_version: str, kind: str) -> bool:
        """Whether the kind, or all of its API version, was named."""
        self._asked.add((api_version, kind))
        return api_version in self._known or f"{api_version}/{kind}" in self._known

    def without_effect(self, rendered: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Of each word that changed nothing, one sentence; that may be a misspelling.

        Args:
            rendered: the API versions and kinds of what was rendered.
        """
        met = {name for version, kind in (*self._asked, *rendered) for name in (version, f"{version}/{kind}")}
        for word in sorted(self._known - met):
            if not everywhere(word) and not everywhere(word.rpartition("/")[0]):
                hint = suggestion(word, sorted(met))
                yield f"--api-versions: nothing is `auto` for {word}{f'; {hint}' if hint else ''}"
