"""What a deploy's changes mean for those who use the models: what restarts, for how long, and what goes on serving."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from wtsctl.plan.changes import Action, Change
from wtsctl.pods.made import each, replicas, templates
from wtsctl.pods.requests import requests

# The fields of which each change makes new pods, by kind.
_PODS = {
    "Deployment": ("spec.template",),
    "StatefulSet": ("spec.template",),
    "DaemonSet": ("spec.template",),
    "LeaderWorkerSet": ("spec.leaderWorkerTemplate",),
    # KServe gives its labels to its pods.
    "InferenceService": ("spec.predictor", "metadata.labels"),
    "LlamaStackDistribution": ("spec.server",),
}
# Of these, what is about the number of pods or the way in and not about the pods.
_NOT_PODS = (
    "spec.predictor.minReplicas",
    "spec.predictor.maxReplicas",
    "spec.predictor.scale",
    "spec.predictor.deploymentStrategy",
)
_INSTANCE = "app.kubernetes.io/instance"


class Effect(StrEnum):
    """What happens to a server."""

    RESTARTS = "restarts"
    STARTS = "starts"
    STOPS = "stops"
    SCALES = "scales"
    KEEPS_SERVING = "keeps-serving"
    KEEPS_DOWN = "keeps-down"
    KEEPS_OFF = "keeps-off"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that users know by its name.

    Attributes:
        name: what users ask for: a model's name, or `llama-stack`.
        namespace: of its pods.
        instance: the pods' label `app.kubernetes.io/instance`.
        gpus: of one replica.
        start_limit: seconds that a start may take.
    """

    name: str
    namespace: str
    instance: str
    gpus: int
    start_limit: float


@dataclass(frozen=True, slots=True)
class Impact:
    """What happens to one server.

    Attributes:
        name: what users ask for.
        effect: what happens.
        pods: replicas that are made anew, start or stop.
        gpus: of those.
        seconds: how long a start takes; None where none is due.
        measured: whether that is how long the last start took, and not how long one may take.
        rolling: replicas are made anew one after another, so that the others go on serving.
        text: all that in words.
    """

    name: str
    effect: Effect
    pods: int
    gpus: int
    seconds: float | None
    measured: bool
    rolling: bool
    text: str

    def data(self) -> dict[str, Any]:
        """The impact in `-o json`."""
        return {
            "name": self.name,
            "effect": self.effect.value,
            "pods": self.pods,
            "gpus": self.gpus,
            "seconds": self.seconds,
            "measured": self.measured,
            "rolling": self.rolling,
            "text": self.text,
        }


def disruptive(change: Change) -> bool:
    """Whether users notice a change, or something is lost by it: what a person is asked about."""
    return change.action in {Action.RECREATE, Action.PRUNE} or bool(change.taken) or makes_pods(change)


def makes_pods(change: Change) -> bool:
    """Whether a change of an object that is there replaces its pods."""
    prefixes = _PODS.get(_kind(change), ())
    if change.action is Action.RECREATE:
        return bool(prefixes)
    return change.action is Action.CONFIGURE and any(
        field.path.startswith(prefixes) and not field.path.startswith(_NOT_PODS) for field in change.fields
    )


def impacts(
    changes: Iterable[tuple[Change, Mapping[str, Any] | None, Mapping[str, Any]]],
    served: Sequence[Served],
    pods: Iterable[Mapping[str, Any]],
    usual: Mapping[str, float] | None = None,
) -> tuple[Impact, ...]:
    """What happens to each server, in their order.

    Args:
        changes: each with the object as it is, None where there is none, and with the manifest.
        served: the servers that users know.
        pods: the cluster's pods, of which the last start's duration is taken.
        usual: seconds that a start took before, by name, for servers of which no pod says it.
    """
    by_instance: dict[tuple[str, str], list[tuple[Change, Mapping[str, Any] | None, Mapping[str, Any]]]] = {}
    for one in changes:
        if _kind(one[0]) in _PODS:
            by_instance.setdefault(_instance(one[2]), []).append(one)
    found = []
    running = list(pods)
    for server in served:
        held = by_instance.get((server.namespace, server.instance))
        if held:
            took = last_start(server, running)
            found.append(_impact(server, *held[0], (usual or {}).get(server.name) if took is None else took))
    return tuple(found)


def removals(
    items: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]], served: Sequence[Served]
) -> tuple[Impact, ...]:
    """What the deletion of objects means for those who use what they serve.

    Args:
        items: the objects as they are.
        wanted: the manifests of what stays.
        served: the servers that stay.
    """
    names = {(one.namespace, one.instance): one.name for one in served}
    staying = {_instance(one) for one in wanted if one.get("kind") in _PODS}
    return tuple(
        _removal(item, names.get(_instance(item), "") if _instance(item) in staying else "")
        for item in items
        if item.get("kind") in _PODS
    )


def _removal(item: Mapping[str, Any], stays: str) -> Impact:
    """What goes with an object; `stays` is who goes on serving under its name from another one, if anyone."""
    labels = (item.get("metadata") or {}).get("labels") or {}
    name = stays or str(labels.get(_INSTANCE) or item["metadata"]["name"])
    if labels.get("app.kubernetes.io/component") == "llama-stack":
        name = "llama-stack"
    try:
        pods = replicas(item, {})
        gpus = pods * sum(_devices(one.spec) * each(item, one) for one in templates(item))
    except ValueError:
        pods, gpus = 1, 0
    if stays:
        text = f"stops the former {item['kind']} of {name}: {_amount(pods, gpus)} free"
    elif pods:
        text = f"removes {name}: it no longer answers, {_amount(pods, gpus)} free"
    else:
        text = f"removes {name}, which is off"
    return Impact(name, Effect.STOPS, pods, gpus, None, False, False, text)


def _devices(pod: Mapping[str, Any]) -> int:
    """GPUs and other devices that a pod asks for: resources with a domain in their name."""
    return sum(count for name, count in requests(pod).items() if "/" in name)


def last_start(server: Served, pods: Iterable[Mapping[str, Any]]) -> float | None:
    """How many seconds the slowest of a server's pods took from its creation until it was ready; None: not known.

    A pod whose container has restarted became ready again later, which says nothing about a start.
    """
    took = [
        seconds
        for pod in pods
        if _instance(pod) == (server.namespace, server.instance) and (seconds := _start_of(pod)) is not None
    ]
    return max(took, default=None)


def _start_of(pod: Mapping[str, Any]) -> float | None:
    status = pod.get("status") or {}
    if any(one.get("restartCount") for one in status.get("containerStatuses") or ()):
        return None
    created = (pod.get("metadata") or {}).get("creationTimestamp")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True" and created:
            ready = condition.get("lastTransitionTime")
            if ready:
                return (datetime.fromisoformat(ready) - datetime.fromisoformat(created)).total_seconds()
    return None


def _impact(
    server: Served,
    change: Change,
    live: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
    took: float | None,
) -> Impact:
    before, after = _replicas_before_and_after(change, live, wanted)
    rolling = before > 1 and change.action is Action.CONFIGURE and _rolls(wanted)
    seconds = server.start_limit if took is None else took
    span = f"{'up to' if took is None else 'about'} {_span(seconds)}"

    def made(effect: Effect, replicas: int, text: str) -> Impact:
        starts = effect in {Effect.STARTS, Effect.RESTARTS} or (effect is Effect.SCALES and after > before)
        gpus = replicas * server.gpus
        due = seconds if starts else None
        return Impact(server.name, effect, replicas, gpus, due, starts and took is not None, rolling, text)

    def what(replicas: int) -> str:
        return _amount(replicas, replicas * server.gpus)

    if after == 0:
        if before == 0:
            return made(Effect.KEEPS_OFF, 0, f"{server.name} stays off")
        return made(Effect.STOPS, before, f"stops {server.name}: {what(before)} free")
    if before == 0:
        return made(Effect.STARTS, after, f"starts {server.name}: {what(after)}, {span}")
    if makes_pods(change):
        if rolling:
            text = f"restarts {server.name} one pod after another: {what(before)}, {span} each; it keeps serving"
        else:
            text = f"restarts {server.name}: {what(before)}, {span} without it"
        return made(Effect.RESTARTS, before, text)
    if before == after:
        # A Deployment without a ready pod says nothing of ready pods.
        down = (
            live is not None and live.get("kind") == "Deployment" and "readyReplicas" not in (live.get("status") or {})
        )
        text = "does not serve now, and nothing about its pods changes" if down else "keeps serving"
        return made(Effect.KEEPS_DOWN if down else Effect.KEEPS_SERVING, before, f"{server.name} {text}")
    text = f"scales {server.name} from {before} to {after}: "
    text += f"{what(after - before)} more, {span}" if after > before else f"{what(before - after)} free"
    return made(Effect.SCALES, abs(after - before), text)


def _replicas_before_and_after(
    change: Change, live: Mapping[str, Any] | None, wanted: Mapping[str, Any]
) -> tuple[int, int]:
    """How many replicas there are and will be; a number that nobody gives is one, or what the autoscaler made."""
    before = 0 if live is None else _replicas(live, 1)
    if change.action is Action.PRUNE:
        return before, 0
    return before, _replicas(wanted, before if live is not None else 1)


def _rolls(wanted: Mapping[str, Any]) -> bool:
    spec = wanted.get("spec") or {}
    if wanted.get("kind") == "InferenceService":
        strategy = (spec.get("predictor") or {}).get("deploymentStrategy") or {}
    else:
        strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") != "Recreate")


def _replicas(item: Mapping[str, Any], otherwise: int) -> int:
    spec = item.get("spec") or {}
    held = (spec.get("predictor") or {}) if item.get("kind") == "InferenceService" else spec
    found = held.get("minReplicas" if held is not spec else "replicas")
    return found if isinstance(found, int) else otherwise


def _instance(item: Mapping[str, Any]) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    return str(metadata.get("namespace", "")), str((metadata.get("labels") or {}).get(_INSTANCE, ""))


def _kind(change: Change) -> str:
    return change.identity.split("/")[-2]


def _amount(pods: int, gpus: int) -> str:
    """`4 GPUs`, `2 pods, 8 GPUs`, `1 pod`."""
    parts = [f"{pods} pod{'s' if pods != 1 else ''}"] if pods != 1 or not gpus else []
    parts += [f"{gpus} GPU{'s' if gpus != 1 else ''}"] if gpus else []
    return ", ".join(parts)


def _span(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 100 else f"{round(whole / 60)} min"  # noqa: PLR2004
