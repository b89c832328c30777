"""What the checks look at: what a deploy is about to do, and what was read of the cluster for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wtsctl.pods.made import identity

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotRead:
    """Something that was not read, and why."""

    why: str


Listed = Sequence[Object] | NotRead
"""All objects of one kind, or why they are not known."""


@dataclass(frozen=True, slots=True)
class Step:
    """One object of a deploy.

    Attributes:
        doc: as it should be.
        model: that it belongs to; None: none.
        live: as it is; None: it is not there, or may not be looked at.
        changes: whether this deploy makes or changes it.
        resource: its kind's name in paths, such as `deployments`; empty where the cluster does not serve the kind.
        again: whether it is deleted and made again.
    """

    doc: Object
    model: str | None
    live: Object | None
    changes: bool
    resource: str
    again: bool = False

    @property
    def new(self) -> bool:
        """Whether this deploy makes it."""
        return self.changes and (self.live is None or self.again)

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.doc["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.doc["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty for what lies in none."""
        return str(self.doc["metadata"].get("namespace") or "")

    @property
    def group(self) -> str:
        """Its API group; empty for the core's."""
        return str(self.doc["apiVersion"]).rpartition("/")[0]

    @property
    def identity(self) -> str:
        """`NAMESPACE/KIND/NAME`."""
        return identity(self.doc)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read; what no step needs is not.

    Attributes:
        version: what the API server says of its version.
        skew: seconds that this machine's clock is ahead of the API server's, at least; None: it did not say.
        missing_kinds: by apiVersion and kind, what to install.
        namespaces: as they are; None: not there.
        classes: the StorageClasses.
        volumes: the PersistentVolumes, read only where a class is missing.
        nodes: every node, and every pod that takes something of one.
        quotas: the ResourceQuotas, by namespace.
        limits: the LimitRanges, by namespace.
        secrets: the keys of each Secret, by namespace and name; None: it is not there.
    """

    version: Mapping[str, Any] | NotRead
    skew: float | None
    missing_kinds: Mapping[tuple[str, str], str] = field(default_factory=dict)
    namespaces: Mapping[str, Object | NotRead | None] = field(default_factory=dict)
    classes: Listed = NotRead("")
    volumes: Listed = NotRead("")
    nodes: Listed = NotRead("")
    quotas: Mapping[str, Listed] = field(default_factory=dict)
    limits: Mapping[str, Listed] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], frozenset[str] | NotRead | None] = field(default_factory=dict)
