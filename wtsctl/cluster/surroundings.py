"""Reading what a deploy rests on and does not apply: version, clock, storage, nodes, quotas, Secrets.

What may not be read is said to be so, and is no error.
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import SECRET, Kind
from wtsctl.cluster.faults import ApiRefused, no_such_kind
from wtsctl.cluster.observe import nodes_and_pods
from wtsctl.cluster.parallel import each
from wtsctl.cluster.prepare import key_wanted
from wtsctl.plan.changes import Action
from wtsctl.plan.preflight.facts import Facts, Listed, NotRead, Step
from wtsctl.plan.preflight.storage import claims, lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.dryrun import Compared
    from wtsctl.cluster.prepare import Prepared
    from wtsctl.plan.preflight.check import Wanted

_FORBIDDEN, _NOT_FOUND = 403, 404
STORAGE_CLASS = Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
VOLUME = Kind("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")


def steps(prepared: Prepared, compared: Sequence[Compared]) -> list[Step]:
    """What a deploy does, as the checks look at it. What is refused for another reason changes nothing."""
    return [
        Step(
            one.manifest.doc,
            one.manifest.model,
            one.live,
            changes=one.action is not Action.UNCHANGED and one.problem is None,
            resource=prepared.kinds[one.manifest.api_version, one.manifest.kind].plural,
            again=one.action is Action.RECREATE,
        )
        for one in compared
    ]


def read(client: Client, prepared: Prepared, planned: Sequence[Step], wanted: Wanted) -> Facts:
    """Read what is wanted, at once.

    Raises:
        ClusterError: the cluster cannot be spoken to.
    """
    namespaces = _namespaces(prepared)
    there = [name for name in wanted.quotas if namespaces.get(name, {}) is not None]
    asks: dict[Any, Callable[[], Any]] = {"version": partial(_version, client)}
    if wanted.classes:
        asks["classes"] = partial(_listed, client, STORAGE_CLASS)
    if wanted.nodes:
        asks["nodes"] = partial(_tried, partial(nodes_and_pods, client))
    for name in there:
        asks["quotas", name] = partial(_listed, client, QUOTA, name)
        asks["limits", name] = partial(_listed, client, LIMIT_RANGE, name)
    for key in wanted.secrets:
        if namespaces.get(key[0], {}) is not None:
            asks["secret", key] = partial(_keys, client, *key)
    found: dict[Any, Any] = dict(zip(asks, each(lambda ask: ask(), asks.values()), strict=True))
    version, skew = found["version"]
    classes: Listed = found.get("classes", NotRead("not looked for"))
    volumes: Listed = NotRead("not looked for")
    if not isinstance(classes, NotRead) and lacking(claims(planned), classes):
        volumes = _listed(client, VOLUME)
    return Facts(
        version,
        skew,
        missing_kinds={
            kind: no_such_kind(*kind).problem.hint
            for kind in sorted(prepared.coming)
            if not prepared.kinds[kind].plural
        },
        namespaces=namespaces,
        classes=classes,
        volumes=volumes,
        nodes=found.get("nodes", NotRead("not looked for")),
        quotas={name: found["quotas", name] for name in there},
        limits={name: found["limits", name] for name in there},
        secrets={key: found.get(("secret", key)) for key in wanted.secrets},
    )


def _namespaces(prepared: Prepared) -> dict[str, Any]:
    """The namespaces of the manifests as far as `prepare` could look at them."""
    found: dict[str, Any] = {}
    for one in prepared.manifests:
        if one.kind != "Namespace":
            continue
        item = prepared.before.get(key_wanted(one))
        # What `prepare` makes up for one that may not be looked at has no uid.
        seen = item is None or "uid" in item["metadata"]
        found[one.name] = item if seen else NotRead("it may not be looked at")
    return found


def _version(client: Client) -> tuple[Mapping[str, Any] | NotRead, float | None]:
    """What the API server calls its version, and by how much our clock is ahead of its."""
    began = time.time()
    try:
        text, headers = client.text_and_headers("/version", where="/version")
    except ApiRefused as error:
        if error.status != _FORBIDDEN:
            raise
        return NotRead("/version may not be read"), None
    ended = time.time()
    ahead = skew(str(headers.get("Date", "")), began, ended)
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else NotRead("/version is not JSON"), ahead


def skew(date: str, began: float, ended: float) -> float | None:
    """Seconds that our clock is ahead of a server's, at least; below zero where it is behind.

    Args:
        date: the answer's Date header; it has whole seconds.
        began: when the request was sent, by our clock.
        ended: when the answer had come.

    Returns None where the header is no date. 0 where the clocks may agree.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
    least, most = began - (theirs + 1), ended - theirs
    return least if least > 0 else most if most < 0 else 0.0


def _listed(client: Client, kind: Kind, namespace: str = "") -> Listed:
    return _tried(lambda: objects.list_all(client, kind, namespace)[0])


def _tried(ask: Callable[[], list[Object]]) -> Listed:
    try:
        return ask()
    except ApiRefused as error:
        if error.status != _FORBIDDEN:
            raise
        what = error.problem.where.removesuffix("/*")
        return NotRead(f"{what} may not be listed")


def _keys(client: Client, namespace: str, name: str) -> frozenset[str] | NotRead | None:
    """The keys of a Secret; its values are dropped here."""
    try:
        return frozenset(objects.get(client, SECRET, namespace, name).get("data") or {})
    except ApiRefused as error:
        if error.status == _NOT_FOUND:
            return None
        if error.status != _FORBIDDEN:
            raise
        return NotRead("it may not be looked at")
