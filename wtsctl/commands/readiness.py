"""How models are right now: the cluster's objects joined with what the endpoints say, for deploy and status."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from wtsctl.catalog.load import LoadedCatalog
    from wtsctl.catalog.workload import Endpoint, Workload
    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import Connection
    from wtsctl.cluster.logs import Run, StartLogs
    from wtsctl.cluster.observe import Evidence
    from wtsctl.cluster.watch import Follower, Selection
    from wtsctl.health.index import Index
    from wtsctl.health.model import Answer, ModelHealth, Subject

# How long to leave an endpoint alone that did not give the right answer, and how many to ask at once.
_AGAIN_SECONDS = 1.0
# What one token may take: the first request to a server may compile kernels.
_TOKEN_SECONDS = 60.0
_AT_ONCE = 16


class Looked:
    """What is looked at: subjects, where each answers, and the file that says so."""

    def __init__(
        self, loaded: LoadedCatalog, chosen: Sequence[Workload], *, llama_stack: bool, agents: bool | None = None
    ) -> None:
        from wtsctl.catalog.stack import operator_labels
        from wtsctl.catalog.workload import Endpoint
        from wtsctl.health.model import Subject

        self.catalog = loaded.catalog.name
        self.file = Path(loaded.filename)
        self.subjects: list[Subject] = []
        self.endpoints: dict[str, Endpoint] = {}
        self._operated: list[tuple[str, str, str]] = []
        awaited = _awaited(loaded)
        for one in chosen:
            subject = Subject(
                name=one.name,
                runtime=one.spec.runtime.value,
                namespace=one.namespace,
                object_name=one.object_name,
                service=one.endpoint.service,
                # Fewer than an autoscaler may leave there is what is wrong.
                replicas=one.spec.autoscale.min if one.spec.autoscale else one.spec.replicas,
                serves=one.name,
                grouped=one.grouped,
                downloads=one.spec.download is not None,
                awaited=awaited,
            )
            self.subjects.append(subject)
            self.endpoints[one.name] = one.endpoint
        stack = loaded.catalog.llama_stack
        if llama_stack and stack and stack.enabled:
            name, operated = stack.service.name, stack.kind == "LlamaStackDistribution"
            self.subjects.append(
                Subject(
                    "llama-stack",
                    "llama-stack",
                    stack.namespace,
                    name,
                    name,
                    1,
                    "",
                    operated=operated,
                    awaited=awaited,
                )
            )
            self.endpoints["llama-stack"] = Endpoint(stack.namespace, name, stack.service.port, stack.openai_prefix)
            labels = ",".join(f"{key}={value}" for key, value in operator_labels(stack).items())
            self._operated = [(stack.namespace, name, labels)] if operated else []
        for agent in loaded.catalog.agents if (llama_stack if agents is None else agents) else ():
            if agent.image is not None:
                name = f"agent/{agent.name}"
                subject = Subject(
                    name,
                    "agent",
                    agent.namespace,
                    agent.name,
                    agent.name,
                    agent.replicas,
                    "",
                    asked=False,
                    awaited=awaited,
                )
                self.subjects.append(subject)
                self.endpoints[name] = Endpoint(agent.namespace, agent.name, agent.port, "")

    @property
    def selections(self) -> tuple[Selection, ...]:
        """What to list or watch for them."""
        from wtsctl.cluster.observe import own_labels, selections

        return selections(
            [one.namespace for one in self.subjects],
            own_labels(self.catalog),
            kserve=[one.namespace for one in self.subjects if one.kserve],
            grouped=[one.namespace for one in self.subjects if one.grouped],
            downloads=[one.namespace for one in self.subjects if one.downloads],
            operated=self._operated,
        )

    @property
    def addresses(self) -> dict[str, str]:
        """Each endpoint as tables and JSON name it: its URL inside the cluster."""
        return {name: endpoint.url for name, endpoint in self.endpoints.items()}


def _awaited(loaded: LoadedCatalog) -> frozenset[str]:
    """The names of the Secrets that ExternalSecrets make."""
    from wtsctl.catalog.secret_uses import secret_uses

    catalog = loaded.catalog
    uses = secret_uses(
        catalog.defaults, catalog.secrets, enumerate(catalog.models), catalog.llama_stack, catalog.agents
    )
    return frozenset(one.reference.name for one in uses if one.reference.external is not None)


class Answers:
    """What endpoints say, asked in the background; `of` never waits.

    An answer holds for the pods that gave it: when a pod comes, goes or restarts, the endpoint is asked again. So
    it is while it fails or lists something else, which a server may do that has just come up. With `tokens` a model
    that is listed is asked for one token too, before it counts as ready; Llama Stack is not, since its models are
    asked themselves.
    """

    def __init__(
        self,
        connection: Connection,
        endpoints: Mapping[str, Endpoint],
        seconds: float,
        catalog: Path,
        news: Callable[[], None],
        *,
        tokens: bool = True,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._endpoints = endpoints
        self._seconds = seconds
        self._news = news
        self._tokens = tokens
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(_AT_ONCE)
        self._known: dict[str, tuple[object, Answer, float]] = {}
        self._asking: set[str] = set()

    def of(self, health: ModelHealth) -> Answer | None:
        """The answer of the pods that `health` has; asks where there is none, or not the right one."""
        name, pods = health.subject.name, tuple((one.name, one.restarts, one.ready) for one in health.pods)
        with self._lock:
            known = self._known.get(name)
            answer, again = (known[1], known[2]) if known and known[0] == pods else (None, 0.0)
            settled = answer is not None and answer.serves(health.subject.serves) and not answer.unanswered
            if not settled and time.monotonic() >= again and name not in self._asking:
                self._asking.add(name)
                arguments = (name, pods, health.subject.serves)
                threading.Thread(target=self._ask, args=arguments, daemon=True).start()
            return answer

    def _ask(self, name: str, pods: object, serves: str) -> None:
        from dataclasses import replace

        endpoint = self._endpoints[name]
        with self._slots:
            answer = ask(self._connection, endpoint, self._seconds, self._catalog)
            if self._tokens and serves and answer.serves(serves):
                with self._lock:
                    known = self._known.get(name)
                    # A refusal stays in view until there is another answer.
                    if known is None or known[0] != pods or not known[1].unanswered:
                        self._known[name] = (pods, replace(answer, asking=True), 0.0)
                self._news()
                answer = replace(answer, unanswered=ask_token(self._connection, endpoint, serves, self._catalog))
        with self._lock:
            self._known[name] = (pods, answer, time.monotonic() + _AGAIN_SECONDS)
            self._asking.discard(name)
        self._news()


def observer(
    looked: Looked, follower: Follower, answers: Answers, logs: StartLogs
) -> Callable[[], dict[str, ModelHealth] | None]:
    """What `health.wait.wait` looks at: every subject's health now, or None before the first lists are in."""
    from wtsctl.cluster.autoscaler import autoscaler
    from wtsctl.health.assess import assess
    from wtsctl.health.index import Index
    from wtsctl.health.scheduling import Autoscaler

    scaled = Autoscaler.NOT_ASKED

    def observe() -> dict[str, ModelHealth] | None:
        objects = follower.objects()
        if objects is None:
            return None
        nonlocal scaled
        index = Index.of(objects, scaled)
        healths: dict[str, ModelHealth] = {}
        for subject in looked.subjects:
            health = assess(subject, index)
            answer = answers.of(health) if health.askable else None
            healths[subject.name] = assess(subject, index, answer) if answer else health
        if scaled is Autoscaler.NOT_ASKED and any(one.reason == "Unschedulable" for one in healths.values()):
            # Asked where it matters, and once.
            scaled = autoscaler(follower.client)
            return observe()
        return _listened(healths, index, logs)

    return observe


def _listened(healths: dict[str, ModelHealth], index: Index, logs: StartLogs) -> dict[str, ModelHealth]:
    """The same, each server that loads with what its log says that it is doing."""
    from dataclasses import replace

    from wtsctl.health.state import Phase

    runs: dict[str, Run] = {}
    for name, health in healths.items():
        found = index.by_name.get(("Pod", health.subject.namespace, health.pod))
        if found and health.phase is Phase.LOADING and not health.failed:
            pod = next(one for one in health.pods if one.name == health.pod)
            server = str(found["spec"]["containers"][0]["name"])
            runs[name] = (health.subject.namespace, health.pod, server, pod.restarts)
    logs.only(runs.values())
    return {
        name: replace(health, step=logs.of(runs[name])) if name in runs else health for name, health in healths.items()
    }


def ask(connection: Connection, endpoint: Endpoint, seconds: float, catalog: Path) -> Answer:
    """Ask one endpoint which models it serves, through the API server; takes about `seconds` at most.

    Args:
        connection: the cluster.
        endpoint: where it answers.
        seconds: for the request, and for connecting.
        catalog: path of models.yaml, beside which the file of an API key is looked for.
    """
    from wtsctl.commands.endpoints import way_to
    from wtsctl.errors import ClusterError
    from wtsctl.health.model import Answer
    from wtsctl.latency.failure import ProbeFailure
    from wtsctl.probe.models import served_models
    from wtsctl.probe.target import Timeouts

    try:
        said = served_models(way_to(connection, endpoint, Timeouts(connect=seconds, total=seconds), catalog))
    except ClusterError as error:
        return Answer(failure=str(error.problems[0].message))
    return Answer(failure=said.message) if isinstance(said, ProbeFailure) else Answer(ids=said.ids)


def ask_token(connection: Connection, endpoint: Endpoint, model: str, catalog: Path) -> str:
    """Why a model does not answer one token, through the API server; empty where it does."""
    from wtsctl.commands.endpoints import way_to
    from wtsctl.errors import ClusterError
    from wtsctl.probe.target import Timeouts
    from wtsctl.probe.token import one_token

    try:
        failure = one_token(way_to(connection, endpoint, Timeouts(total=_TOKEN_SECONDS), catalog), model)
    except ClusterError as error:
        return str(error.problems[0].message)
    return failure.message if failure else ""


def ask_all(
    connection: Connection, endpoints: Mapping[str, Endpoint], seconds: float, catalog: Path
) -> dict[str, Answer]:
    """Ask several endpoints at once."""
    from wtsctl.cluster.parallel import each

    asked = each(lambda endpoint: ask(connection, endpoint, seconds, catalog), endpoints.values(), _AT_ONCE)
    return dict(zip(endpoints, asked, strict=True))


def evidence_of(client: Client, healths: Iterable[ModelHealth]) -> dict[str, Evidence]:
    """Events and logs about the pods of models that are not as they should be, by model."""
    from wtsctl.cluster.observe import evidence
    from wtsctl.cluster.parallel import each
    from wtsctl.health.state import Phase

    ran = {Phase.WEIGHTS, Phase.STARTING, Phase.LOADING, Phase.ENDPOINT, Phase.ANSWERS}
    stuck = [one for one in healths if not one.ready and one.pod]

    def collect(one: ModelHealth) -> Evidence:
        container = one.cause.container if one.cause else ""
        has_log = one.cause.crashed if one.cause else one.phase in ran
        return evidence(client, one.subject.namespace, one.pod, container, ran=has_log)

    return {one.subject.name: found for one, found in zip(stuck, each(collect, stuck), strict=True)}
