"""What has to be looked at to know how models are: a few kinds in each namespace, however many models there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import (
    CLAIM,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    EVENT,
    INFERENCE_SERVICE,
    JOB,
    LEADER_WORKER_SET,
    LLAMA_STACK,
    NODE,
    POD,
    REPLICA_SET,
)
from wtsctl.cluster.faults import ApiRefused
from wtsctl.cluster.parallel import each
from wtsctl.cluster.watch import Selection
from wtsctl.errors import ClusterError
from wtsctl.health.signatures import Match, find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wtsctl.cluster.client import Client, Object

_KINDS = (DEPLOYMENT, REPLICA_SET, POD, ENDPOINT_SLICE, CLAIM)
_FORBIDDEN, _NOT_FOUND = 403, 404
# Of a log so many lines are searched for a signature, and so many shown.
_SEARCHED_LINES, _LOG_LINES = 200, 8
_EVENTS = 3


def own_labels(catalog_name: str) -> str:
    """The selector of everything that wtsctl made for a catalog; pods and EndpointSlices carry the labels too."""
    return f"app.kubernetes.io/part-of={catalog_name},app.kubernetes.io/managed-by={objects.FIELD_MANAGER}"


def selections(
    namespaces: Iterable[str],
    labels: str,
    *,
    kserve: Iterable[str] = (),
    grouped: Iterable[str] = (),
    downloads: Iterable[str] = (),
    operated: Iterable[tuple[str, str, str]] = (),
) -> tuple[Selection, ...]:
    """What to list or watch.

    Args:
        namespaces: of everything that is looked at.
        labels: from `own_labels`.
        kserve: the namespaces in which there are InferenceServices to look at.
        grouped: those with LeaderWorkerSets.
        downloads: those with Jobs that download weights.
        operated: what an operator makes, without our labels: namespace, name of the Deployment, labels of its pods.
    """
    spaces = list(dict.fromkeys(namespaces))
    made = [Selection(kind, namespace, labels) for namespace in spaces for kind in _KINDS]
    # Events carry no labels. Without them less is known of volumes and autoscalers, and that is all.
    made += [Selection(EVENT, namespace, dispensable=True) for namespace in spaces]
    some = ((INFERENCE_SERVICE, kserve), (LEADER_WORKER_SET, grouped), (JOB, downloads))
    made += [
        Selection(kind, namespace, labels, optional=kind is not JOB)
        for kind, spaces in some
        for namespace in dict.fromkeys(spaces)
    ]
    for namespace, name, others in operated:
        made.append(Selection(DEPLOYMENT, namespace, fields=f"metadata.name={name}"))
        made.append(Selection(LLAMA_STACK, namespace, labels, optional=True, dispensable=True))
        made += [Selection(kind, namespace, others) for kind in (REPLICA_SET, POD)]
    return tuple(made)


def look(client: Client, chosen: Sequence[Selection]) -> list[Object]:
    """All objects of the selections, by one list each.

    Raises:
        ClusterError: one of the lists was refused, or the cluster cannot be spoken to.
    """

    def listed(selection: Selection) -> list[Object]:
        try:
            return objects.list_all(
                client, selection.kind, selection.namespace, labels=selection.labels, fields=selection.fields
            )[0]
        except ApiRefused as error:
            if selection.optional and error.status == _NOT_FOUND:
                return []
            if selection.dispensable and error.status == _FORBIDDEN:
                return []
            raise

    return [item for items in each(listed, chosen) for item in items]


def nodes_and_pods(client: Client) -> list[Object]:
    """Every node, and every pod of the cluster that still takes something of one: two lists.

    Raises:
        ClusterError: one of them was refused, or the cluster cannot be spoken to.
    """
    asked = ((NODE, ""), (POD, "status.phase!=Succeeded,status.phase!=Failed"))
    found = each(lambda one: objects.list_all(client, one[0], fields=one[1])[0], asked)
    return [item for items in found for item in items]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the cluster holds about a pod that does not get further.

    Attributes:
        events: the latest warnings about it, newest last, as `Reason: message`.
        log: the last lines of the container's log, as the container wrote them.
        previous: whether the log is that of the run before the current one.
        match: the known failure that an event or the log shows, if one does.
    """

    events: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    previous: bool = False
    match: Match | None = None


def evidence(client: Client, namespace: str, pod: str, container: str, *, ran: bool) -> Evidence:
    """Collect the evidence about one pod; what may not or cannot be read is left out, for whatever reason.

    Args:
        client: the cluster.
        namespace: of the pod.
        pod: its name.
        container: whose log; empty: the pod's only one.
        ran: whether that container ever ran, so that it has a log.
    """
    try:
        fields = f"involvedObject.name={pod},type=Warning"
        found = objects.list_all(client, EVENT, namespace, fields=fields)[0]
        found.sort(key=lambda one: str(one.get("lastTimestamp") or one.get("eventTime") or ""))
        # "Error: ErrImagePull" repeats the reason, and nothing else.
        texts = [(str(one.get("reason", "")), str(one.get("message", ""))) for one in found]
        lines = (f"{reason}: {text}" for reason, text in texts if not text.startswith("Error: "))
        told = list(dict.fromkeys(lines))
        events = told[-_EVENTS:]
    except ClusterError:
        told, events = [], []
    log, previous = "", False
    # The log of the run that is on, or of the last one; where it has only just begun, of the one before.
    for previous in (False, True) if ran else ():
        try:
            log = objects.read_log(client, namespace, pod, container, previous=previous, lines=_SEARCHED_LINES)
        except ClusterError:
            # Also where a proxy or the kubelet answers in the API server's place, in words of its own.
            log = ""
        if log.strip():
            break
    written = log.splitlines()
    match, shown = find(written, told), written[-_LOG_LINES:]
    if match and match.line in written and match.line not in shown:
        # The line that says it may stand far above the last one of a traceback.
        shown = [match.line, *shown[1:]]
    return Evidence(tuple(events), tuple(shown), previous and bool(log), match)
