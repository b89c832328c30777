"""What rules look at: the catalog, and the pods and Services in the manifests made from it.

Templates, patches and `extra` are the user's, so whatever a pod or a Service must have is looked for in the rendered
objects. They may hold anything: every access here takes what is not there, or is of another kind, as empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Protocol

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.direct import directly_asked
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.fault import Path
from wtsctl.catalog.load import LoadedCatalog
from wtsctl.catalog.quantity import parse_quantity
from wtsctl.catalog.workload import Workload
from wtsctl.plan.fit import Serving
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.plan.serving import Unknown, served

_POD_TEMPLATE: dict[str, tuple[tuple[str, ...], ...]] = {
    "Deployment": (("spec", "template"),),
    "StatefulSet": (("spec", "template"),),
    "ReplicaSet": (("spec", "template"),),
    "DaemonSet": (("spec", "template"),),
    "Job": (("spec", "template"),),
    "CronJob": (("spec", "jobTemplate", "spec", "template"),),
    "LeaderWorkerSet": (
        ("spec", "leaderWorkerTemplate", "leaderTemplate"),
        ("spec", "leaderWorkerTemplate", "workerTemplate"),
    ),
}


_ENFORCE = "pod-security.kubernetes.io/enforce"
# What the container that serves is called; KServe's has no name before KServe gives it one.
_SERVERS = (None, "server", "kserve-container")


class Rendered(Protocol):
    """A rendered object, as far as rules look at it; `render.manifest.Manifest` is one."""

    @property
    def doc(self) -> dict[str, Any]:
        """The object."""

    @property
    def template(self) -> str:
        """The template that it was made from."""

    @property
    def model(self) -> str | None:
        """The model that it belongs to."""

    @property
    def partial(self) -> bool:
        """Whether it is a part of somebody else's object."""


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """The mapping under `keys`; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any, *keys: str) -> tuple[Mapping[str, Any], ...]:
    """The mappings in the list under `keys`."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return tuple(item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def words(value: Any, *keys: str) -> frozenset[str]:
    """The texts in the list under `keys`."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return frozenset(item for item in found if isinstance(item, str)) if isinstance(found, list) else frozenset()


def quantity(value: Any) -> Fraction | None:
    """A quantity of a manifest; None where it is none."""
    try:
        return parse_quantity(str(value))
    except ValueError:
        return None


def split_words(arguments: Iterable[str]) -> tuple[str, ...]:
    """A command line with `--key=value` as two words."""
    split: list[str] = []
    for word in arguments:
        name, equals, value = word.partition("=")
        split += [name, value] if equals and name.startswith("--") else [word]
    return tuple(split)


def last_option(line: Sequence[str], *names: str) -> str | None:
    """What stands behind the last of these options; empty where nothing does, None where none of them stands."""
    value = None
    for at, word in enumerate(line):
        if word in names:
            value = line[at + 1] if at + 1 < len(line) else ""
    return value


def number(value: Any, default: float) -> float:
    """A number of a manifest; the default of Kubernetes where there is none."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default


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
class _Template:
    """What an object says about its pods."""

    labels: Mapping[str, Any]
    spec: Mapping[str, Any]
    containers: Sequence[Mapping[str, Any]]
    replicas: int
    strategy: Mapping[str, Any]
    worker: bool = False


@dataclass(frozen=True)
class Subject:
    """Everything that rules look at, each list made once.

    Attributes:
        loaded: the catalog.
        text: models.yaml as it was read.
        objects: every rendered object.
        checkpoints: what the `config` of a model says, by the model's name.
    """

    loaded: LoadedCatalog
    text: str
    objects: tuple[Rendered, ...]
    checkpoints: Mapping[str, Checkpoint] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        """What models.yaml says."""
        return self.loaded.catalog

    @cached_property
    def models(self) -> tuple[tuple[Path, Workload], ...]:
        """Each model with its path."""
        return tuple((("models", at), workload) for at, workload in enumerate(self.loaded.workloads))

    @cached_property
    def model_paths(self) -> Mapping[str, Path]:
        """The path of each model, by its name and its aliases."""
        return {name: path for path, workload in self.models for name in workload.names}

    @cached_property
    def served(self) -> Mapping[str, Workload]:
        """Each model, by its name and its aliases."""
        return {name: workload for _, workload in self.models for name in workload.names}

    @cached_property
    def _servings(self) -> Mapping[str, Serving | Unknown]:
        loads = self.loaded.workloads
        return {load.name: served(load, self.checkpoints.get(load.name)).serving for load in loads}

    def serving(self, workload: Workload) -> Serving | Unknown:
        """How a model uses the memory of its GPUs, or why that is not known."""
        return self._servings[workload.name]

    @cached_property
    def kinds(self) -> Mapping[str, tuple[Rendered, ...]]:
        """The rendered objects by kind."""
        found: defaultdict[str, list[Rendered]] = defaultdict(list)
        for made in self.objects:
            found[str(made.doc.get("kind"))].append(made)
        return {kind: tuple(made) for kind, made in found.items()}

    @cached_property
    def main_names(self) -> Mapping[str, str]:
        """The main name of each model, by its name and its aliases."""
        return {name: load.name for name, load in self.served.items()}

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of the models and of Llama Stack."""
        stack = self.catalog.llama_stack
        return frozenset((*(load.namespace for load in self.loaded.workloads), *([stack.namespace] if stack else ())))

    @cached_property
    def direct_callers(self) -> Mapping[str, Sequence[Agent]]:
        """The agents that ask a model at its own server, by the model's name."""
        found: defaultdict[str, list[Agent]] = defaultdict(list)
        for agent in self.catalog.agents:
            for name in directly_asked(agent, self.catalog.llama_stack, self.main_names):
                found[name].append(agent)
        return found

    @cached_property
    def agent_labels(self) -> Mapping[str, Mapping[str, Any]]:
        """Labels of the pods of each agent that is rendered whole, by its name."""
        agents = self.catalog.agents
        return {agents[int(pod.path[1])].name: pod.labels for pod in self.pods if pod.path[:1] == ("agents",)}

    @cached_property
    def stack_labels(self) -> Mapping[str, Any] | None:
        """Labels of Llama Stack's pods; None where its operator makes them."""
        return next((pod.labels for pod in self.pods if pod.path == ("llamaStack",)), None)

    @cached_property
    def enforced(self) -> Mapping[str, Any]:
        """The Pod Security Standard that each rendered namespace enforces."""
        return {
            str(mapping(made.doc, "metadata").get("name")): mapping(made.doc, "metadata", "labels").get(_ENFORCE)
            for made in self.kinds.get("Namespace", ())
        }

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods that whole objects make; a part of somebody else's Deployment is none."""
        return tuple(pod for made in self.objects if not made.partial for pod in self._pods(made))

    @cached_property
    def servers(self) -> tuple[Pod, ...]:
        """The pods that serve models."""
        return tuple(pod for pod in self.pods if pod.serves)

    def owner(self, made: Rendered) -> Path:
        """The entry of the catalog that an object was made for."""
        if made.model is not None and made.model in self.model_paths:
            return self.model_paths[made.model]
        metadata = mapping(made.doc, "metadata")
        agent = self._agents.get((str(metadata.get("namespace")), str(metadata.get("name"))))
        if agent is not None:
            return agent
        folder = made.template.partition("/")[0]
        if folder == "llama-stack" and self.catalog.llama_stack is not None:
            return ("llamaStack",)
        if made.doc.get("kind") == "PersistentVolumeClaim" and self.catalog.cache is not None:
            return ("cache",)
        return self._extra.get((str(made.doc.get("kind")), str(metadata.get("name"))), ())

    @cached_property
    def _agents(self) -> Mapping[tuple[Any, Any], Path]:
        return {(agent.namespace, agent.name): ("agents", at) for at, agent in enumerate(self.catalog.agents)}

    @cached_property
    def _extra(self) -> Mapping[tuple[str, str], Path]:
        named = ((str(doc.get("kind")), str(mapping(doc, "metadata").get("name"))) for doc in self.catalog.extra)
        return {key: ("extra", at) for at, key in enumerate(named)}

    def _pods(self, made: Rendered) -> Iterator[Pod]:
        doc = made.doc
        kind = str(doc.get("kind"))
        if kind == "InferenceService":
            predictor = mapping(doc, "spec", "predictor")
            model = mapping(predictor, "model")
            listed = [*([model] if model else []), *items(predictor, "containers")]
            replicas = int(number(predictor.get("minReplicas"), 1))
            # KServe puts these on the pods itself.
            name = str(mapping(doc, "metadata").get("name", ""))
            own = {
                "app": f"isvc.{name}-predictor",
                "serving.kserve.io/inferenceservice": name,
                "component": "predictor",
            }
            labels: Mapping[str, Any] = {**mapping(doc, "metadata", "labels"), **own}
            strategy = mapping(predictor, "deploymentStrategy")
            yield self._pod(made, _Template(labels, predictor, listed, replicas, strategy))
            return
        for keys in _POD_TEMPLATE.get(kind, ()):
            template = mapping(doc, *keys)
            spec, labels = mapping(template, "spec"), mapping(template, "metadata", "labels")
            if not items(spec, "containers"):
                continue
            replicas = int(number(mapping(doc, "spec").get("replicas"), 1))
            if kind == "LeaderWorkerSet":
                yield self._pod(made, _of_group(doc, keys[-1] == "workerTemplate", labels, spec, replicas))
            else:
                strategy = mapping(doc, "spec", "strategy")
                yield self._pod(made, _Template(labels, spec, items(spec, "containers"), replicas, strategy))

    def _pod(self, made: Rendered, template: _Template) -> Pod:
        served = self.served.get(made.model) if made.model is not None else None
        # Their order says nothing; the server is the one called so.
        ordered = sorted(template.containers, key=lambda one: one.get("name") not in _SERVERS)
        return Pod(
            path=self.owner(made),
            workload=served,
            kind=str(made.doc.get("kind")),
            about=identity(made.doc),
            namespace=str(mapping(made.doc, "metadata").get("namespace", "")),
            labels=template.labels,
            spec=template.spec,
            containers=tuple(_container(container) for container in ordered),
            initial=tuple(_container(container) for container in items(template.spec, "initContainers")),
            replicas=template.replicas,
            strategy=template.strategy,
            doc=made.doc,
            worker=template.worker,
        )


def _of_group(
    doc: Mapping[str, Any], worker: bool, labels: Mapping[str, Any], spec: Mapping[str, Any], replicas: int
) -> _Template:
    """The leaders or the workers of a LeaderWorkerSet: sigs.k8s.io/lws, api/leaderworkerset/v1."""
    wide = max(int(number(mapping(doc, "spec", "leaderWorkerTemplate").get("size"), 1)) - 1, 0) if worker else 1
    own = {"leaderworkerset.sigs.k8s.io/name": str(mapping(doc, "metadata").get("name", ""))}
    own |= {} if worker else {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
    strategy = mapping(doc, "spec", "rolloutStrategy")
    return _Template({**labels, **own}, spec, items(spec, "containers"), replicas * wide, strategy, worker)


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


def identity(doc: Mapping[str, Any]) -> str:
    """`NAMESPACE/KIND/NAME`, or `KIND/NAME` without a namespace."""
    metadata = mapping(doc, "metadata")
    return "/".join(str(part) for part in (metadata.get("namespace"), doc.get("kind"), metadata.get("name")) if part)


def _container(spec: Mapping[str, Any]) -> Container:
    listed = [spec.get(key) for key in ("command", "args")]
    line = split_words(str(word) for part in listed if isinstance(part, list) for word in part)
    env = {
        str(entry.get("name")): value if isinstance(value := entry.get("value"), str) else None
        for entry in items(spec, "env")
    }
    return Container(spec, line, env)


def devices(pod: Pod) -> int:
    """How many GPUs, or other devices of a vendor, one pod is limited to."""
    found = 0
    for container in pod.containers:
        for name, value in mapping(container.spec, "resources", "limits").items():
            vendor = str(name).partition("/")[0]
            if "/" in str(name) and not vendor.endswith("kubernetes.io"):
                found += int(str(value)) if str(value).isdigit() else 0
    return found
