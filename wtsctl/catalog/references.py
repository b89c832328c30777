"""What no single entry can know: that names are unique, that references lead somewhere, that keys fit together.

Every check takes the entries that have the right shape, so that one wrong value does not hide what is wrong
elsewhere. Whether the cluster can hold it all is no question for here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.agent_faults import agent_faults
from wtsctl.catalog.document import Defaults
from wtsctl.catalog.expose_faults import expose_faults
from wtsctl.catalog.fault import Code, Fault, Path, missing_name
from wtsctl.catalog.kserve_faults import kserve_faults, unlisted_faults, version_faults
from wtsctl.catalog.model import Model, Role, Runtime
from wtsctl.catalog.platform import Cache, Platform, Secrets
from wtsctl.catalog.platform_faults import platform_faults
from wtsctl.catalog.scaling_faults import scaling_faults
from wtsctl.catalog.secret_uses import secret_faults, secret_uses
from wtsctl.catalog.server_faults import server_faults, volume_faults
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.stack_faults import operator_service, stack_faults
from wtsctl.catalog.workload import EXTRA_PATH, SHARED_PATH, predictor_name, workload

_UNIQUE = "names and aliases are unique over all models; what refers to models is checked once they are"
# The keys of llamaStack and of agents that name models.
_NAMING = frozenset(("models", "model", "fallback", "safety", "tasks"))
# The one key of a Secret that KServe reads: github.com/kserve/kserve, pkg/credentials/hf/hf_secret.go
_KSERVE_TOKEN_KEY = "HF_TOKEN"  # noqa: S105 - the name of a key


@dataclass(frozen=True, slots=True)
class Parts:
    """The entries of a catalog that could be read, each with its index in its list.

    Attributes:
        defaults: None when they are wrong themselves.
        secrets: None when they are wrong themselves, or not there.
        platform: None when it is wrong itself, or not there.
        cache: likewise; `wrong_cache` tells which.
        llama_stack: None when there is none, and when it is wrong itself; `without_llama_stack` tells which.
        names: every name and alias of a model, also of models that could not be read, with the model's index.
        roles: the role of each model that could be read, by its index.
    """

    defaults: Defaults | None
    secrets: Secrets | None
    platform: Platform | None
    cache: Cache | None
    wrong_cache: bool
    models: tuple[tuple[int, Model], ...]
    llama_stack: LlamaStack | None
    agents: tuple[tuple[int, Agent], ...]
    without_llama_stack: bool
    names: dict[str, int]
    roles: dict[int, Role]

    def role(self, name: str) -> Role | None:
        """The role of the model called `name`, if that model could be read."""
        return self.roles.get(self.names.get(name, -1))


def check(parts: Parts) -> Iterator[Fault]:
    """Every fault between entries, less what only follows from a name that two models have."""
    twice = tuple(_model_names(parts))
    yield from twice
    again = frozenset(fault.path[1] for fault in twice)
    yield from (fault for fault in _between(parts) if not (twice and _follows(fault, again)))


def _follows(fault: Fault, again: frozenset[str | int]) -> bool:
    """Whether a fault may be there only as some models have the names of others.

    Nobody knows which of them a reference means, nor whether a name that is missing is what one was to be called.

    Args:
        fault: any but those of the names themselves.
        again: indices of the models whose names or aliases are those of earlier ones.
    """
    head, rest = fault.path[:1], fault.path[1:]
    if fault.code is Code.DUPLICATE and head == ("models",):
        return len(rest) == 1 and rest[0] in again
    keys = rest[:1] if head == ("llamaStack",) else rest[1:2] if head == ("agents",) else ()
    named = keys != () and keys[0] in _NAMING
    return named and fault.code in {Code.REFERENCE, Code.DUPLICATE}


def _between(parts: Parts) -> Iterator[Fault]:
    for index, model in parts.models:
        yield from _model(("models", index), model)
    if parts.defaults is not None:
        yield from _images(parts, parts.defaults)
        yield from _objects(parts, parts.defaults)
        yield from expose_faults(parts.defaults, parts.models, parts.llama_stack)
        yield from version_faults(parts.defaults, parts.models)
        yield from scaling_faults(parts.defaults, parts.platform or Platform(), parts.models)
        agents = [agent for _, agent in parts.agents]
        uses = secret_uses(parts.defaults, parts.secrets or Secrets(), parts.models, parts.llama_stack, agents)
        yield from secret_faults(uses)
    if not parts.wrong_cache:
        yield from volume_faults(parts.cache, parts.models)
    if parts.secrets is not None:
        yield from _token(parts, parts.secrets)
    if parts.platform is not None:
        yield from platform_faults(parts.platform, parts.models, parts.llama_stack)
    if parts.llama_stack is not None:
        yield from _llama_stack(parts, parts.llama_stack)
        yield from unlisted_faults(parts.llama_stack, parts.models)
    for index, agent in parts.agents:
        yield from _agent(parts, ("agents", index), agent)


def _model_names(parts: Parts) -> Iterator[Fault]:
    taken: dict[str, tuple[int, str]] = {}
    for index, model in parts.models:
        own: list[tuple[str, Path, str]] = [(model.name, ("models", index, "name"), "the name")]
        own += [(alias, ("models", index, "aliases", at), "an alias") for at, alias in enumerate(model.aliases)]
        adapters = model.lora.adapters if model.lora else ()
        own += [
            (one.name, ("models", index, "lora", "adapters", at, "name"), "the name of an adapter")
            for at, one in enumerate(adapters)
        ]
        for name, path, kind in own:
            if name in taken:
                other, how = taken[name]
                text = f"'{name}' is already {how} of models[{other}]"
                yield Fault(Code.DUPLICATE, path, text, _UNIQUE)
            else:
                taken[name] = (index, kind)


def _model(path: Path, model: Model) -> Iterator[Fault]:
    yield from server_faults(path, model)
    tensor, gpus = model.parallel.tensor, model.gpus
    if gpus is not None and tensor > max(gpus, 1):
        text = f"a pod of {gpus} GPUs cannot be split over {tensor}"
        yield Fault(Code.VALUE, (*path, "gpus"), text, "set gpus to parallel.tensor, or leave it out")
    if model.runtime is Runtime.LLAMACPP and not model.model.startswith("/"):
        text = f"expected the absolute path of a GGUF file in the image, got '{model.model}'"
        yield Fault(Code.VALUE, (*path, "model"), text, "llamacpp reads weights from its image")
    yield from kserve_faults(path, model)
    yield from _prompts(path, model)
    yield from _budgets(path, model)


def _prompts(path: Path, model: Model) -> Iterator[Fault]:
    names: dict[str, int] = {}
    for index, prompt in enumerate(model.smoke):
        at: Path = (*path, "smoke", index)
        if prompt.name in names:
            text = f"'{prompt.name}' is already the name of smoke[{names[prompt.name]}] of this model"
            yield Fault(Code.DUPLICATE, (*at, "name"), text)
        names.setdefault(prompt.name, index)
        if prompt.max_tokens >= model.max_model_len:
            text = f"an answer of {prompt.max_tokens} tokens leaves no room for the prompt"
            hint = f"maxModelLen is {model.max_model_len}, prompt and answer together"
            yield Fault(Code.VALUE, (*at, "maxTokens"), text, hint)
        for number, assertion in enumerate(prompt.assertions):
            if assertion.min_tokens is not None and assertion.min_tokens > prompt.max_tokens:
                text = f"can never hold: the answer is cut after {prompt.max_tokens} tokens"
                yield Fault(Code.VALUE, (*at, "assert", number, "minTokens"), text, "raise maxTokens")


def _budgets(path: Path, model: Model) -> Iterator[Fault]:
    if model.budgets and not model.smoke:
        text = "have no effect without smoke prompts to measure"
        yield Fault(Code.NO_EFFECT, (*path, "budgets"), text, "add a prompt under smoke", at_key=True)
    seen: dict[tuple[str, str], int] = {}
    for index, budget in enumerate(model.budgets):
        what = (budget.metric.value, budget.stat.value)
        if what in seen:
            text = f"a budget for {what[0]} {what[1]} is already given by budgets[{seen[what]}]"
            yield Fault(Code.DUPLICATE, (*path, "budgets", index), text)
        seen.setdefault(what, index)


def _token(parts: Parts, secrets: Secrets) -> Iterator[Fault]:
    token = secrets.huggingface
    on_kserve = next((f"models[{at}] ({one.name})" for at, one in parts.models if one.runtime is Runtime.KSERVE), "")
    if token is not None and on_kserve and token.key != _KSERVE_TOKEN_KEY:
        text = f"expected {_KSERVE_TOKEN_KEY}, the only key that KServe reads for {on_kserve}, got '{token.key}'"
        yield Fault(Code.VALUE, ("secrets", "huggingface", "key"), text, "rename the key in the Secret, and here")


def _images(parts: Parts, defaults: Defaults) -> Iterator[Fault]:
    for index, model in parts.models:
        if model.runtime is not Runtime.KSERVE and not workload(defaults, model).image:
            key = f"defaults.images.{model.runtime.value}"
            yield Fault(Code.MISSING, ("models", index), f"no image: neither `image` here nor {key}", f"set {key}")
    stack = parts.llama_stack
    if stack is not None and stack.enabled and not (stack.image or defaults.images.llama_stack):
        text = "no image: neither `image` here nor defaults.images.llamaStack"
        yield Fault(Code.MISSING, ("llamaStack",), text, "set defaults.images.llamaStack")


def _objects(parts: Parts, defaults: Defaults) -> Iterator[Fault]:
    """No two entries may make the same Kubernetes object, or lie in the same folder."""
    taken: dict[tuple[str, str, str], str] = {}
    folders: dict[str, str] = {}
    for owner, path, namespace, objects, folder in _made(parts, defaults):
        owners = [(kind, name, taken.setdefault((namespace, kind, name), owner)) for kind, name in objects]
        clash = next(((kind, name, other) for kind, name, other in owners if other != owner), None)
        if clash:
            kind, name, other = clash
            text = f"its {kind} {namespace}/{name} is already that of {other}"
            yield Fault(Code.DUPLICATE, path, text, "give one of them another name, Service or namespace")
        elif folder and (other := folders.setdefault(folder, owner)) != owner:
            text = f"its folder {folder} is already that of {other}"
            yield Fault(Code.DUPLICATE, path, text, "give one of them another `path`")
        elif folder in {SHARED_PATH, EXTRA_PATH} or any(part.endswith(".yaml") for part in folder.split("/")):
            text = f"the kustomize tree has a folder or file of its own called '{folder}'"
            yield Fault(Code.VALUE, (*path, "path"), text, "name another folder")


_Made = tuple[str, Path, str, tuple[tuple[str, str], ...], str]


def _made(parts: Parts, defaults: Defaults) -> Iterator[_Made]:
    """For each entry: what it is called, its path, its namespace, its objects (kind and name), its folder."""
    for index, model in parts.models:
        load = workload(defaults, model)
        objects = [("Service", load.endpoint.service)]
        if model.runtime is Runtime.KSERVE:
            predictor = predictor_name(load.object_name)
            objects += [("Service", predictor), ("InferenceService", load.object_name), ("Deployment", predictor)]
        else:
            objects.append(("Deployment", load.object_name))
        yield f"models[{index}] ({model.name})", ("models", index), load.namespace, tuple(objects), load.path
    if (stack := parts.llama_stack) is not None:
        name = stack.service.name
        objects = [("Service", name), ("Deployment", name)]
        if stack.kind == "LlamaStackDistribution":
            objects.append(("Service", operator_service(stack)))
        yield "llamaStack", ("llamaStack",), stack.namespace, tuple(objects), stack.path
        for namespace in stack.also_in:
            yield "llamaStack", ("llamaStack", "alsoIn"), namespace, (("Service", name),), ""
    for index, agent in parts.agents:
        owner, path = f"agents[{index}] ({agent.name})", ("agents", index)
        if agent.image is None:
            yield owner, path, agent.namespace, (("Deployment", agent.name),), ""
            # The environments of several agents may lie in one folder, and nothing else beside them.
            yield "the agents without an image", path, agent.namespace, (), agent.folder
        else:
            made = (("Deployment", agent.name), ("Service", agent.name))
            yield owner, path, agent.namespace, made, agent.folder


def _named(parts: Parts, path: Path, name: str) -> Iterator[Fault]:
    # Without any model, that is what is wrong, and `models` says so.
    if parts.names and name not in parts.names:
        hint = missing_name(name, parts.names, "models")
        yield Fault(Code.REFERENCE, path, f"no model is named '{name}'", hint)


def _guard(parts: Parts, path: Path, name: str) -> Iterator[Fault]:
    yield from _named(parts, path, name)
    role = parts.role(name)
    if role is not None and role is not Role.SAFETY:
        text = f"expected a model with role safety, but '{name}' has role {role.value}"
        yield Fault(Code.REFERENCE, path, text)


def _answering(parts: Parts, path: Path, name: str) -> Iterator[Fault]:
    yield from _named(parts, path, name)
    if parts.role(name) is Role.SAFETY:
        text = f"'{name}' has role safety: it judges text and does not answer questions"
        yield Fault(Code.REFERENCE, path, text)


def _llama_stack(parts: Parts, stack: LlamaStack) -> Iterator[Fault]:
    seen: dict[int, int] = {}
    for index, name in enumerate(stack.models):
        path: Path = ("llamaStack", "models", index)
        model = parts.names.get(name)
        if parts.role(name) is Role.SAFETY:
            text = f"'{name}' has role safety: it belongs under llamaStack.safety"
            yield Fault(Code.REFERENCE, path, text)
        else:
            yield from _named(parts, path, name)
        if model is not None and model in seen:
            yield Fault(Code.DUPLICATE, path, f"'{name}' is the model of llamaStack.models[{seen[model]}] again")
        elif model is not None:
            seen[model] = index
    if stack.safety is not None:
        yield from _guard(parts, ("llamaStack", "safety"), stack.safety)
    yield from stack_faults(stack, parts.models)


def _agent(parts: Parts, path: Path, agent: Agent) -> Iterator[Fault]:
    yield from _answering(parts, (*path, "model"), agent.model)
    if agent.fallback is not None:
        yield from _answering(parts, (*path, "fallback"), agent.fallback)
        index = parts.names.get(agent.model)
        if index is not None and index == parts.names.get(agent.fallback):
            text = f"'{agent.fallback}' is the agent's primary model itself"
            yield Fault(Code.REFERENCE, (*path, "fallback"), text, "name another model, or leave it out")
    if agent.safety is not None:
        yield from _guard(parts, (*path, "safety"), agent.safety)
    for task, name in agent.tasks.items():
        yield from _named(parts, (*path, "tasks", task), name)
    yield from agent_faults(path, agent)
    yield from _through_llama_stack(parts, path, agent)


def _through_llama_stack(parts: Parts, path: Path, agent: Agent) -> Iterator[Fault]:
    stack = parts.llama_stack
    if parts.without_llama_stack:
        hint = "add llamaStack, or do without it"
        if agent.via == "llama-stack":
            yield Fault(Code.REFERENCE, (*path, "via"), "there is no llamaStack to go through", hint)
        if agent.rag:
            yield Fault(Code.REFERENCE, (*path, "rag"), "there is no llamaStack to retrieve from", hint)
        return
    if stack is not None:
        yield from _with_llama_stack(parts, stack, path, agent)


def _with_llama_stack(parts: Parts, stack: LlamaStack, path: Path, agent: Agent) -> Iterator[Fault]:
    served = {parts.names.get(name) for name in stack.models}
    if agent.via == "llama-stack":
        index = parts.names.get(agent.model)
        if index is not None and index not in served:
            text = f"'{agent.model}' is not behind Llama Stack, which this agent goes through"
            yield Fault(Code.REFERENCE, (*path, "model"), text, "add it to llamaStack.models, or set via: direct")
        shield = parts.names.get(stack.safety) if stack.safety is not None else None
        if agent.safety is not None and parts.names.get(agent.safety) != shield:
            text = f"'{agent.safety}' is not Llama Stack's shield, which this agent's requests go through"
            yield Fault(Code.REFERENCE, (*path, "safety"), text, "name the same model as llamaStack.safety")
    if agent.rag:
        for key, value in (("embeddings", stack.embeddings), ("vectorStore", stack.vector_store)):
            if value is None:
                text = f"needs llamaStack.{key}, which is not there"
                yield Fault(Code.REFERENCE, (*path, "rag"), text, f"add llamaStack.{key}, or set rag: false")
