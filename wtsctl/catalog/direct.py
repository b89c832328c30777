"""Which models an agent asks itself, without Llama Stack between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.stack import LlamaStack


def directly_asked(agent: Agent, stack: LlamaStack | None, main: Mapping[str, str]) -> frozenset[str]:
    """The main names of the models that `agent` asks at their own servers.

    An agent that goes through Llama Stack asks there for every model that is behind it, as its environment says.

    Args:
        agent: one of the catalog's agents.
        stack: Llama Stack; one that is not enabled has nothing behind it.
        main: the main name of each model, by its name and its aliases.
    """
    asked = _main(main, (agent.model, agent.fallback, agent.safety, *agent.tasks.values()))
    if stack is None or not stack.enabled or agent.via != "llama-stack":
        return asked
    return asked - _main(main, (*stack.models, stack.safety))


def asks_llama_stack(agent: Agent, stack: LlamaStack, main: Mapping[str, str]) -> bool:
    """Whether an agent asks Llama Stack: for models, for what to retrieve, or for its shield."""
    shielded = bool(_main(main, (agent.safety,)) & _main(main, (stack.safety,)))
    return agent.via == "llama-stack" or agent.rag or shielded


def _main(main: Mapping[str, str], names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(main[name] for name in names if name is not None and name in main)
