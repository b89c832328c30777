"""Findings about agents: the ids that they ask for, and the ways on which an answer misses the guard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.fault import Path
from wtsctl.catalog.model import Role
from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.pods import Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.stack import registered_ids
from wtsctl.plan.findings.subject import Subject
from wtsctl.pods.made import identity

_VIA_STACK = "llama-stack"
# Names of tasks that ask for a verdict rather than for an answer.
_CHECKS = ("safety", "guard", "moderation", "shield")


def _agents(subject: Subject) -> Iterator[tuple[Path, Agent]]:
    return ((("agents", at), agent) for at, agent in enumerate(subject.catalog.agents))


def _behind_stack(subject: Subject) -> frozenset[str]:
    """Names of the models that Llama Stack routes to, its guard included."""
    stack = subject.catalog.llama_stack
    if stack is None:
        return frozenset()
    named = (*stack.models, *([stack.safety] if stack.safety else ()))
    return frozenset(subject.served[name].name for name in named if name in subject.served)


def _around_the_shield(subject: Subject) -> Iterator[Hit]:
    behind = _behind_stack(subject)
    for path, agent in _agents(subject):
        if agent.via != _VIA_STACK or agent.safety is None:
            continue
        asked = [((*path, "fallback"), agent.fallback)] if agent.fallback else []
        asked += [((*path, "tasks", task), name) for task, name in agent.tasks.items()]
        for place, name in asked:
            if subject.served[name].name not in behind:
                text = f"'{name}' is asked at its own server, around Llama Stack and its shield '{agent.safety}'"
                yield Hit(place, text, f"add {name} to llamaStack.models")


def _unguarded(subject: Subject) -> Iterator[Hit]:
    guards = [load.name for _, load in subject.models if load.spec.role is Role.SAFETY]
    if not guards:
        return
    for path, agent in _agents(subject):
        if agent.safety is None:
            text = f"its answers reach people unchecked, while {' and '.join(guards[:2])} could check them"
            yield Hit(path, text, f"set safety: {guards[0]}")


def _unchecked(subject: Subject) -> Iterator[Hit]:
    for path, agent in _agents(subject):
        if agent.via == _VIA_STACK or agent.safety is None:
            continue
        roles = {subject.served[name].spec.role for name in agent.tasks.values()}
        if Role.SAFETY not in roles:
            text = f"it asks its models directly, and none of its tasks is to ask '{agent.safety}'"
            yield Hit((*path, "safety"), text, f"give it a task such as `safety_check: {agent.safety}`")


def _unknown_ids(subject: Subject) -> Iterator[Hit]:
    answered = _answered(subject)
    # One that is there and leads nowhere is what WTS405 tells.
    services = {_dotted(mapping(made.doc, "metadata")) for made in subject.kinds.get("Service", ())}
    for made in subject.kinds.get("Deployment", ()):
        owner = subject.owner(made)
        if owner[:1] != ("agents",):
            continue
        for container in items(made.doc, "spec", "template", "spec", "containers"):
            env = {str(one.get("name")): one.get("value") for one in items(container, "env")}
            for name, url in _asked(env):
                service = _service(url)
                known = answered.get(service)
                if known is None and service not in services and service.partition(".")[2] in subject.namespaces:
                    text = f"its environment names {service}, and no such Service is rendered"
                    yield Hit(owner, text, about=identity(made.doc))
                elif known is not None and name not in known:
                    names = ", ".join(sorted(known)[:6])
                    text = f"its environment asks {service} for '{name}', which answers to {names or 'nothing'}"
                    yield Hit((*owner, "model"), text, about=identity(made.doc))


def _asked(env: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The ids that an agent's environment holds, each with the address that it is to be asked at."""
    found: dict[str, str] = {}
    try:
        listed = json.loads(env.get("MODEL_ENDPOINTS") or "{}")
    except (TypeError, ValueError):
        listed = {}
    if isinstance(listed, dict):
        found |= {str(name): str(url) for name, url in listed.items()}
    for name, url in (
        ("INFERENCE_MODEL", "INFERENCE_ENDPOINT"),
        ("FALLBACK_MODEL", "FALLBACK_ENDPOINT"),
        ("SAFETY_MODEL", "SAFETY_ENDPOINT"),
    ):
        if isinstance(env.get(name), str) and isinstance(env.get(url), str) and env[name]:
            found[env[name]] = env[url]
    yield from found.items()


def _answered(subject: Subject) -> Mapping[str, frozenset[str]]:
    """The ids that each Service (NAME.NAMESPACE) answers to."""
    found: dict[str, frozenset[str]] = {}
    for pod in subject.servers:
        load = pod.workload
        ids = served_ids(pod)
        if load is not None and ids:
            found[_service(load.endpoint.url)] = ids
    stack = subject.catalog.llama_stack
    if stack is not None and stack.enabled:
        found[_service(stack.url)] = frozenset(registered_ids(subject))
    return found


def served_ids(pod: Pod) -> frozenset[str]:
    """The ids that a model's server answers to, as its arguments say."""
    server = pod.server
    if server is None:
        return frozenset()
    words, found = server.words, set[str]()
    for at, word in enumerate(words):
        if word in ("--served-model-name", "--served_model_name"):
            found.update(itertools.takewhile(lambda one: not one.startswith("--"), words[at + 1 :]))
        elif word in ("--model_name", "--model-name", "--alias") and at + 1 < len(words):
            found.update(words[at + 1].split(","))
        elif word == "--lora-modules":
            listed = itertools.takewhile(lambda one: not one.startswith("--"), words[at + 1 :])
            found.update(one.partition("=")[0] for one in listed)
    return frozenset(found)


def _dotted(metadata: Mapping[str, Any]) -> str:
    return f"{metadata.get('name')}.{metadata.get('namespace')}"


def _service(url: str) -> str:
    """NAME.NAMESPACE of an address inside the cluster."""
    return ".".join((urlsplit(url).hostname or "").split(".")[:2])


def _wrong_judge(subject: Subject) -> Iterator[Hit]:
    for path, agent in _agents(subject):
        for task, name in agent.tasks.items():
            role = subject.served[name].spec.role
            checks = any(word in task.lower() for word in _CHECKS)
            if checks and role is not Role.SAFETY:
                text = f"'{name}' has role {role.value}: it talks about a text instead of judging it"
                yield Hit((*path, "tasks", task), text)
            elif not checks and role is Role.SAFETY:
                text = f"'{name}' has role safety: it answers each request with `safe` or `unsafe`"
                yield Hit((*path, "tasks", task), text)


def _stack_not_there(subject: Subject) -> Iterator[Hit]:
    stack = subject.catalog.llama_stack
    names = [agent.name for _, agent in _agents(subject) if agent.via == _VIA_STACK or agent.rag]
    if stack is not None and not stack.enabled and names:
        text = f"Llama Stack is not deployed, and {', '.join(names[:3])} would go through it"
        yield Hit(("llamaStack", "enabled"), text)


RULES = (
    Rule(
        "WTS601",
        "fallback-around-shield",
        Severity.ERROR,
        "Answers that the shield does not see",
        "What an agent asks through Llama Stack can be checked there, with the shield of its guard. A model that "
        "Llama Stack does not route to is asked at its own server, where there is no shield: the guard is lost just "
        "when the primary model has failed.",
        "Put the model behind Llama Stack as well.",
        "",
        _around_the_shield,
    ),
    Rule(
        "WTS602",
        "agent-without-guard",
        Severity.WARNING,
        "Agent whose answers no guard checks",
        "A safety model is deployed, and what this agent writes does not pass it.",
        "Set `safety`. Where nobody but other programs reads its answers, accept the finding in place.",
        "",
        _unguarded,
    ),
    Rule(
        "WTS603",
        "id-not-answered",
        Severity.ERROR,
        "Agent asks for an id that its server does not answer to",
        "Each request gets 404. Llama Stack 0.7 knows a model only as PROVIDER/MODEL, KServe's huggingface server "
        "only by its main name, vLLM by each served name.",
        "Leave these variables to wtsctl, or mend the template or patch that changes them.",
        "llamastack/llama-stack, core/routing_tables/models.py; vllm-project/vllm issue 3486",
        _unknown_ids,
    ),
    Rule(
        "WTS604",
        "task-with-wrong-role",
        Severity.WARNING,
        "Task with a model of the wrong kind",
        "A guard answers every question with `safe` or `unsafe`; a chat model asked for a verdict writes an essay, "
        "which the agent reads as no objection.",
        "Give checks to a model with role safety, and everything else to one without.",
        "",
        _wrong_judge,
    ),
    Rule(
        "WTS605",
        "guard-never-asked",
        Severity.WARNING,
        "Agent with a guard that nobody asks",
        "An agent that asks its models directly passes no shield. Its environment says where the guard is, and "
        "whether it asks there is its own business; the tasks of the others name one for it.",
        "Set `via: llama-stack`, or give it the task. Where its code asks the guard anyway, accept the finding in "
        "place.",
        "",
        _unchecked,
    ),
    Rule(
        "WTS606",
        "llama-stack-not-deployed",
        Severity.WARNING,
        "Agents go through a Llama Stack that is not deployed",
        "Their environment then sends them to the models' own servers: no shield is in front of these, and there is "
        "nothing to retrieve from.",
        "Set `llamaStack.enabled: true`, or `via: direct`.",
        "",
        _stack_not_there,
    ),
)
