"""What can be done with objects: get, list, apply, delete, read a log. Objects are plain dicts."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from wtsctl.cluster.client import APPLY_PATCH
from wtsctl.cluster.discovery import POD, Kind

if TYPE_CHECKING:
    from wtsctl.cluster.client import Client, Object

# The name under which the API server records which fields are ours. Renaming it makes conflicts with every
# object that was applied before.
FIELD_MANAGER = "wtsctl"
_PAGE = 500


def label(kind: str, namespace: str, name: str) -> str:
    """How messages name an object: `llama-serve/Deployment/vllm-watt-8b`, or `Namespace/llama-serve`."""
    return f"{namespace}/{kind}/{name}" if namespace else f"{kind}/{name}"


def carries(item: Object, labels: str) -> bool:
    """Whether an object has every label of a selector of the form `a=b,c=d`."""
    found = item["metadata"].get("labels") or {}
    return all(found.get(key) == value for key, value in (part.split("=") for part in labels.split(",")))


def get(client: Client, kind: Kind, namespace: str, name: str) -> Object:
    """One object.

    Raises:
        ApiRefused: `status` 404 where it does not exist.
    """
    return client.request("GET", kind.path(namespace, name), where=label(kind.kind, namespace, name))


def list_all(
    client: Client, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
) -> tuple[list[Object], str]:
    """All objects of a kind that match the selectors, and the resourceVersion to watch from.

    Read in pages of 500, so that thousands of pods come in bounded pieces; a namespace that does not exist has
    no objects.
    """
    items: list[Object] = []
    query: dict[str, str | int] = {"labelSelector": labels, "fieldSelector": fields, "limit": _PAGE}
    while True:
        page = client.request("GET", kind.path(namespace), query=query, where=label(kind.plural, namespace, "*"))
        for item in page.get("items") or []:
            # The API server leaves these out of lists; the rest of us reads objects by them.
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
            items.append(item)
        metadata = page.get("metadata") or {}
        if not metadata.get("continue"):
            return items, str(metadata.get("resourceVersion", ""))
        query["continue"] = str(metadata["continue"])


def apply(
    client: Client,
    kind: Kind,
    manifest: Object,
    *,
    force: bool = False,
    dry_run: bool = False,
    manager: str = FIELD_MANAGER,
) -> tuple[bool, Object]:
    """Server-side apply; returns whether it made the object, and the object as it is now.

    Args:
        client: the cluster.
        kind: of the object.
        manifest: the object, or of somebody else's the part that is ours.
        force: take fields over from other managers.
        dry_run: the API server checks and answers, and changes nothing.
        manager: the field manager that owns what `manifest` has.

    Raises:
        ApiRefused: a conflict with another field manager, an invalid field, a missing right.
    """
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "") if kind.namespaced else ""
    status, item = client.exchange(
        "PATCH",
        kind.path(namespace, metadata["name"]),
        query={
            "fieldManager": manager,
            "force": "true" if force else "",
            "dryRun": "All" if dry_run else "",
            # Unknown fields are typing errors, in our templates or in the user's.
            "fieldValidation": "Strict",
        },
        body=manifest,
        content_type=APPLY_PATCH,
        where=label(kind.kind, namespace, metadata["name"]),
    )
    return status == HTTPStatus.CREATED, item


def delete(client: Client, kind: Kind, namespace: str, name: str, *, uid: str = "", version: str = "") -> None:
    """Delete an object with all that it owns: in the foreground, so that its pods go before itself.

    Raises:
        ApiRefused: `status` 404 where it is already gone, 409 where `uid` is no longer its, or `version` no longer its
            resourceVersion.
    """
    body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    if uid:
        body["preconditions"] = {"uid": uid, **({"resourceVersion": version} if version else {})}
    client.request("DELETE", kind.path(namespace, name), body=body, where=label(kind.kind, namespace, name))


def read_log(
    client: Client, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 10
) -> str:
    """The last lines of a container's log; `previous` is that of the container before the last restart."""
    query: dict[str, str | int] = {
        "container": container,
        "tailLines": lines,
        "limitBytes": 65536,
        "previous": "true" if previous else "",
    }
    path = f"{POD.path(namespace, pod)}/log"
    return client.text(path, query=query, where=label("Pod", namespace, f"{quote(pod)}/{container}"))
