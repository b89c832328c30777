"""What is known of a model or of Llama Stack: what is looked at, what its endpoint said, how it is."""

from __future__ import annotations

from dataclasses import dataclass

from wtsctl.health.pod import Cause, PodHealth
from wtsctl.health.state import Phase
from wtsctl.health.steps import Step

NOT_ASKED = "NotAsked"
# KServe answers a change within a second or two.
UNSEEN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a model, or Llama Stack.

    Attributes:
        name: as the catalog and the table name it.
        runtime: `vllm`, `kserve`, `llamacpp`, `llama-stack` or `agent`.
        namespace: where its objects are.
        object_name: of its Deployment, LeaderWorkerSet or InferenceService.
        service: the Service in front of its pods.
        replicas: pods that the catalog wants, of those that an autoscaler may leave the fewest.
        serves: the id that its endpoint has to list; empty where any list will do.
        grouped: a LeaderWorkerSet takes the Deployment's place.
        downloads: a Job downloads its weights, which its pods wait for.
        operated: Llama Stack's operator makes its Deployment.
        asked: its endpoint is asked; of an agent nothing is known but its port.
        awaited: names of the Secrets that another controller makes, which takes its time.
    """

    name: str
    runtime: str
    namespace: str
    object_name: str
    service: str
    replicas: int
    serves: str
    grouped: bool = False
    downloads: bool = False
    operated: bool = False
    asked: bool = True
    awaited: frozenset[str] = frozenset()

    @property
    def kserve(self) -> bool:
        """Whether KServe makes its Deployment."""
        return self.runtime == "kserve"

    @property
    def kind(self) -> str:
        """The kind of the object whose pods serve it."""
        return "LeaderWorkerSet" if self.grouped else "Deployment"

    @property
    def deployment(self) -> str:
        """The name of its Deployment or LeaderWorkerSet; KServe adds a suffix to its own."""
        return f"{self.object_name}-predictor" if self.kserve else self.object_name


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint said when asked which models it serves.

    Attributes:
        ids: what it listed.
        failure: why it listed nothing; empty where it did.
        unanswered: why it has not answered one token; empty where it did, or was not asked for one.
        asking: whether it is being asked for one token just now.
    """

    ids: tuple[str, ...] = ()
    failure: str = ""
    unanswered: str = ""
    asking: bool = False

    def serves(self, model: str) -> bool:
        """Whether it listed the id `model`; with an empty one, whether it listed anything at all."""
        return not self.failure and (not model or model in self.ids)


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """How a model is.

    Attributes:
        subject: what this is about.
        phase: how far it has come.
        reason: why it is not further, in the cluster's word; empty when ready.
        message: the same in a sentence.
        cause: set where it gets no further by itself: it has failed.
        pod: the pod that `cause` or `reason` is about, if it is about one.
        pods: of the newest revision.
        wanted: how many pods the cluster is asked for.
        answering: how many of them stand behind the Service: of a LeaderWorkerSet the leaders.
        created: creation time of its Deployment, LeaderWorkerSet or InferenceService, as RFC 3339; empty without one.
        answer: what its endpoint said, if it was asked.
        behind: names of the pods that its Service sends requests to, whosoever they are.
        chain: `KIND/NAME` of the objects that own the one which `reason` is about, and of that one; the owner first.
        step: what its server says in its log that it is doing; None where it has not said, or was not listened to.
    """

    subject: Subject
    phase: Phase
    reason: str = ""
    message: str = ""
    cause: Cause | None = None
    pod: str = ""
    pods: tuple[PodHealth, ...] = ()
    wanted: int = 0
    answering: int = 0
    created: str = ""
    answer: Answer | None = None
    behind: frozenset[str] = frozenset()
    chain: tuple[str, ...] = ()
    step: Step | None = None

    @property
    def endpoints(self) -> int:
        """How many of its pods stand behind the Service; without one there is nobody to ask."""
        return sum(one.name in self.behind for one in self.pods)

    @property
    def askable(self) -> bool:
        """Whether nothing but an answer is missing, and whichever pod gives it is of the newest revision."""
        return self.reason == NOT_ASKED

    @property
    def ready(self) -> bool:
        """Whether it serves, as far as can be told without a prompt."""
        return self.phase is Phase.READY

    @property
    def failed(self) -> bool:
        """Whether it gets no further by itself."""
        return self.cause is not None

    @property
    def grace(self) -> float:
        """Seconds for which its end, ready or failed, has to last before it is believed."""
        if self.cause is not None:
            return self.cause.grace
        # Nothing tells whether KServe, Llama Stack's operator or an old LeaderWorkerSet controller has seen a change
        # yet; until it has, the pods from before it look well.
        return UNSEEN_SECONDS if self.subject.kserve or self.subject.grouped or self.subject.operated else 0.0

    @property
    def shown(self) -> str:
        """The phase as tables and JSON name it: `failed` goes before how far it came."""
        return "failed" if self.failed else self.phase.value

    @property
    def ready_pods(self) -> int:
        """How many of its pods are ready."""
        return sum(one.ready for one in self.pods)

    @property
    def restarts(self) -> int:
        """Restarts of all containers of its pods."""
        return sum(one.restarts for one in self.pods)
