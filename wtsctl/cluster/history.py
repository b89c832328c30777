"""The records of deploys: ConfigMaps in the cluster itself, so that everyone who deploys sees the same history."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import CONFIG_MAP
from wtsctl.cluster.faults import ApiRefused
from wtsctl.plan.history import STATE, Entry, entry, manifests, surplus, unpacked
from wtsctl.plan.membership import bookkeeping_labels

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client

COMPONENT = "history"
_ENTRY = "wtsctl.io/record"
# What is listed is without the parts, which are large: https://kubernetes.io/docs/reference/using-api/api-concepts/
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_NOT_FOUND, _CONFLICT = 404, 409
_PAGE = 500
# Deploys that could not be locked may take the same number.
_TRIES = 5


class History:
    """The records of one catalog.

    Args:
        client: the cluster.
        namespace: where they lie.
        catalog: name of the catalog.
    """

    def __init__(self, client: Client, namespace: str, catalog: str) -> None:
        self._client, self._namespace, self._catalog = client, namespace, catalog

    def entries(self) -> list[Entry]:
        """What is known of each deploy at a glance, newest first; by one request.

        Raises:
            ApiRefused: they may not be listed.
            ClusterError: the cluster cannot be spoken to.
        """
        labels = ",".join(f"{key}={value}" for key, value in self._labels.items())
        query: dict[str, str | int] = {"labelSelector": labels, "limit": _PAGE}
        page = self._client.request(
            "GET", CONFIG_MAP.path(self._namespace), query=query, accept=_METADATA, where=self._where("*")
        )
        found = []
        for item in page.get("items") or []:
            metadata = item["metadata"]
            if "deletionTimestamp" in metadata:
                continue
            prefix, _, number = metadata["name"].rpartition(".v")
            if prefix == f"wtsctl-{self._catalog}" and number.isdigit():
                found.append(entry((metadata.get("annotations") or {}).get(_ENTRY, ""), int(number)))
        return sorted(found, key=lambda one: one.revision, reverse=True)

    def parts(self, revision: int) -> dict[str, str]:
        """What one record holds, by the names of `plan.history`; what cannot be read is left out.

        Raises:
            ApiRefused: `status` 404 where it is gone.
            ClusterError: the cluster cannot be spoken to.
        """
        item = objects.get(self._client, CONFIG_MAP, self._namespace, self._name(revision))
        found = {}
        for name, content in (item.get("binaryData") or {}).items():
            try:
                found[name] = unpacked(base64.b64decode(content, validate=True))
            except (ValueError, binascii.Error):
                continue
        return found

    def add(self, one: Entry, parts: Mapping[str, bytes], known: Sequence[Entry]) -> Entry:
        """Write a record under the next number; returns it with its number.

        Args:
            one: the record.
            parts: what it holds.
            known: from `entries`.

        Raises:
            ApiRefused: it may not be written.
            ClusterError: the cluster cannot be spoken to.
        """
        revision = max((found.revision for found in known), default=0)
        for left in reversed(range(_TRIES)):
            revision += 1
            one = replace(one, revision=revision)
            metadata = {
                "name": self._name(revision),
                "labels": self._labels,
                "annotations": {_ENTRY: one.dump()},
            }
            body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            body["binaryData"] = {name: base64.b64encode(content).decode() for name, content in parts.items()}
            try:
                self._client.exchange(
                    "POST",
                    CONFIG_MAP.path(self._namespace),
                    query={"fieldManager": objects.FIELD_MANAGER},
                    body=body,
                    where=self._where(self._name(revision)),
                    repeatable=True,
                )
                break
            except ApiRefused as error:
                if error.status != _CONFLICT or not left:
                    raise
                if self._is(one):
                    # Made by an earlier try of the same request, whose answer never came.
                    break
        return one

    def trim(self, entries: Sequence[Entry]) -> None:
        """Delete the records that are too many.

        Args:
            entries: all there are, newest first.

        Raises:
            ApiRefused: one may not be deleted.
            ClusterError: the cluster cannot be spoken to.
        """
        for old in surplus(entries):
            # In the background: nothing belongs to it, and it is not to be seen any more.
            body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
            path = CONFIG_MAP.path(self._namespace, self._name(old.revision))
            try:
                self._client.request("DELETE", path, body=body, where=self._where(self._name(old.revision)))
            except ApiRefused as error:
                if error.status != _NOT_FOUND:
                    raise

    def _is(self, one: Entry) -> bool:
        """Whether the record of this number is this one."""
        try:
            there = objects.get(self._client, CONFIG_MAP, self._namespace, self._name(one.revision))
        except ApiRefused:
            return False
        return (there["metadata"].get("annotations") or {}).get(_ENTRY) == one.dump()

    def update(self, one: Entry) -> None:
        """Write what is known at a glance anew.

        Raises:
            ApiRefused: it may not be written, or is gone.
            ClusterError: the cluster cannot be spoken to.
        """
        self._client.exchange(
            "PATCH",
            CONFIG_MAP.path(self._namespace, self._name(one.revision)),
            query={"fieldManager": objects.FIELD_MANAGER},
            body={"metadata": {"annotations": {_ENTRY: one.dump()}}},
            content_type="application/merge-patch+json",
            where=self._where(self._name(one.revision)),
            repeatable=True,
        )

    def state(self, revision: int) -> list[dict[str, Any]] | None:
        """The stored manifests of a record; None where it is gone or they cannot be read.

        Raises:
            ApiRefused: it may not be read.
            ClusterError: the cluster cannot be spoken to.
        """
        try:
            return manifests(self.parts(revision).get(STATE, ""))
        except ApiRefused as error:
            if error.status != _NOT_FOUND:
                raise
        except ValueError:
            pass
        return None

    @property
    def _labels(self) -> dict[str, str]:
        return bookkeeping_labels(self._catalog, COMPONENT)

    def _name(self, revision: int) -> str:
        return f"wtsctl-{self._catalog}.v{revision}"

    def _where(self, name: str) -> str:
        return objects.label(CONFIG_MAP.kind, self._namespace, name)
