"""Findings about agents: the ids that they ask for, and the ways on which an answer misses the guard."""

from __future__ import annotations

from collections.abc import Iterator

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.fault import Path
from wtsctl.catalog.model import Role
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Subject

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
        if agent.via != _VIA_STACK or agent.safety is None or agent.fallback is None:
            continue
        if subject.served[agent.fallback].name not in behind:
            text = f"answers of '{agent.fallback}' go around Llama Stack, and so around its shield '{agent.safety}'"
            yield Hit((*path, "fallback"), text, f"add {agent.fallback} to llamaStack.models")


def _unguarded(subject: Subject) -> Iterator[Hit]:
    guards = [load.name for _, load in subject.models if load.spec.role is Role.SAFETY]
    if not guards:
        return
    for path, agent in _agents(subject):
        if agent.safety is None:
            text = f"its answers reach people unchecked, while {' and '.join(guards[:2])} could check them"
            yield Hit(path, text, f"set safety: {guards[0]}")


def _unknown_tasks(subject: Subject) -> Iterator[Hit]:
    behind = _behind_stack(subject)
    for path, agent in _agents(subject):
        if agent.via != _VIA_STACK:
            continue
        for task, name in agent.tasks.items():
            if subject.served[name].name not in behind:
                text = f"Llama Stack does not route to '{name}', and answers 404 to it"
                yield Hit((*path, "tasks", task), text, f"add {name} to llamaStack.models")


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
        "Fallback whose answers the shield does not see",
        "The agent's requests are checked by Llama Stack's shield. When its model fails it turns to one that Llama "
        "Stack does not route to, speaks to that directly, and what comes back is shown unchecked: the guard is lost "
        "just when something is wrong.",
        "Put the fallback behind Llama Stack as well.",
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
        "task-model-not-routed",
        Severity.ERROR,
        "Task with a model that Llama Stack does not route to",
        "The id that the agent is given for the task does not exist in Llama Stack, and each such request gets 404.",
        "Add the model to `llamaStack.models`, or give the task another one.",
        "",
        _unknown_tasks,
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
        "llama-stack-not-deployed",
        Severity.WARNING,
        "Agents go through a Llama Stack that is not deployed",
        "Their environment names a server that wtsctl does not make: unless somebody else runs it under this name, "
        "each request fails.",
        "Set `llamaStack.enabled: true`, or `via: direct`.",
        "",
        _stack_not_there,
    ),
)
