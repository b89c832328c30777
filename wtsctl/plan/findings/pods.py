"""The pods that rendered objects make, whatever kind the objects are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.catalog.fault import Path
from wtsctl.catalog.workload import Workload
from wtsctl.plan.findings.objects import items, last_option, mapping, split_words
from wtsctl.pods import made

# What the container that serves is called; KServe's has no name before KServe gives it one.
SERVERS = (None, "server", "kserve-container")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod.

    Attributes:
        words: its command and arguments, `--key=value` split into two words.
        env: the values of its variables; None for those that come from elsewhere.
    """

    spec: Mapping[str, Any]
    words: tuple[str, ...]
    env: Mapping[str, str | None]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec.get("name", ""))

    @property
    def image(self) -> str:
        """Its image; empty where somebody else sets it."""
        image = self.spec.get("image")
        return image if isinstance(image, str) else ""

    def option(self, *names: str) -> str | None:
        """What stands behind the last of these options on the command line; None where none of them stands."""
        return last_option(self.words, *names)

    def amount(self, kind: str, resource: str) -> str | None:
        """Its `requests` or `limits` of a resource, as written."""
        value = mapping(self.spec, "resources", kind).get(resource)
        return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Pod:
    """The pods that one rendered object makes.

    Attributes:
        path: the entry of the catalog that it was made for.
        workload: the model that it serves, or downloads.
        kind: of the object.
        about: the object, `NAMESPACE/KIND/NAME`.
        labels: of the pods.
        spec: of the pods.
        containers: those that stay, the server first.
        initial: those that run before them.
        replicas: how many pods there are.
        strategy: how the object replaces them.
        doc: the object itself.
        worker: whether they only help others that answer, on further nodes.
    """

    path: Path
    workload: Workload | None
    kind: str
    about: str
    namespace: str
    labels: Mapping[str, Any]
    spec: Mapping[str, Any]
    containers: tuple[Container, ...]
    initial: tuple[Container, ...]
    replicas: int
    strategy: Mapping[str, Any]
    doc: Mapping[str, Any]
    worker: bool = False

    @property
    def server(self) -> Container | None:
        """The container that serves the model."""
        return self.containers[0] if self.containers else None

    @property
    def serves(self) -> bool:
        """Whether it answers for a model, rather than download its weights or help another pod."""
        return self.workload is not None and self.kind not in ("Job", "CronJob") and not self.worker

    @property
    def claims(self) -> tuple[str, ...]:
        """The volume claims that it mounts."""
        names = (mapping(volume, "persistentVolumeClaim").get("claimName") for volume in items(self.spec, "volumes"))
        return tuple(name for name in names if isinstance(name, str))


@dataclass(frozen=True, slots=True)
class Template:
    """What an object says about its pods."""

    labels: Mapping[str, Any]
    spec: Mapping[str, Any]
    containers: Sequence[Mapping[str, Any]]
    replicas: int
    strategy: Mapping[str, Any]
    worker: bool = False


def templates(doc: Mapping[str, Any]) -> Iterator[Template]:
    """What an object says about the pods that it makes; nothing for one that makes none, or leaves them to others."""
    kind = str(doc.get("kind"))
    if kind == "LlamaStackDistribution":
        return
    name = str(mapping(doc, "metadata").get("name", ""))
    for made_of in made.templates(doc):
        listed = items(made_of.spec, "containers")
        if kind == "InferenceService":
            strategy = mapping(doc, "spec", "predictor", "deploymentStrategy")
        else:
            strategy = mapping(doc, "spec", "rolloutStrategy" if kind == "LeaderWorkerSet" else "strategy")
            if not listed:
                continue
        labels = {**made_of.labels, **_own_labels(kind, name, worker=made_of.worker)}
        yield Template(labels, made_of.spec, listed, _count(doc, made_of), strategy, made_of.worker)


def _own_labels(kind: str, name: str, *, worker: bool) -> Mapping[str, str]:
    """Labels that the controller of a kind puts on its pods itself."""
    if kind == "InferenceService" and not worker:
        return {
            "app": f"isvc.{name}-predictor",
            "serving.kserve.io/inferenceservice": name,
            "component": "predictor",
        }
    if kind == "LeaderWorkerSet":
        # sigs.k8s.io/lws, api/leaderworkerset/v1.
        own = {"leaderworkerset.sigs.k8s.io/name": name}
        return own | ({} if worker else {"leaderworkerset.sigs.k8s.io/worker-index": "0"})
    return {}


def _count(doc: Mapping[str, Any], template: made.Template) -> int:
    """How many pods there are; the default where what is written is no number, which is told elsewhere."""
    try:
        return made.replicas(doc, {}) * made.each(doc, template)
    except ValueError:
        return 1


def container(spec: Mapping[str, Any]) -> Container:
    """One container, its command line in words."""
    listed = [spec.get(key) for key in ("command", "args")]
    line = split_words(str(word) for part in listed if isinstance(part, list) for word in part)
    env = {
        str(entry.get("name")): value if isinstance(value := entry.get("value"), str) else None
        for entry in items(spec, "env")
    }
    return Container(spec, line, env)


class LabelIndex:
    """Pods by their labels, so that a selector finds them without looking at each."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._holders: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        self._namespaces: defaultdict[str, list[int]] = defaultdict(list)
        for at, pod in enumerate(pods):
            self._namespaces[pod.namespace].append(at)
            for key, value in pod.labels.items():
                self._holders[pod.namespace, str(key), str(value)].add(at)

    def find(self, namespace: str, selector: Mapping[str, Any]) -> list[int]:
        """Indices of the pods that carry every label of the selector; none for one without labels."""
        sets = [self._holders.get((namespace, str(key), str(value)), set()) for key, value in selector.items()]
        return sorted(set.intersection(*sorted(sets, key=len))) if sets else []

    def all(self, namespace: str) -> Sequence[int]:
        """Indices of all pods of a namespace."""
        return self._namespaces.get(namespace, ())


def devices(pod: Pod) -> int:
    """How many GPUs, or other devices of a vendor, one pod is limited to."""
    found = 0
    for container in pod.containers:
        for name, value in mapping(container.spec, "resources", "limits").items():
            vendor = str(name).partition("/")[0]
            if "/" in str(name) and not vendor.endswith("kubernetes.io"):
                found += int(str(value)) if str(value).isdigit() else 0
    return found
