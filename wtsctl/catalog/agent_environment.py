"""The environment of an agent: which model it asks where, and under which id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.direct import directly_asked
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.stack import LlamaStack, stack_id
from wtsctl.catalog.workload import Workload, dns_label

VARIABLES: dict[str, str] = {
    "LLAMA_STACK_ENDPOINT": "where Llama Stack answers, without the path of an API; empty where there is none",
    "INFERENCE_MODEL": "id of the primary model: PROVIDER/MODEL through Llama Stack, the served name directly",
    "INFERENCE_ENDPOINT": "base URL of the OpenAI-compatible API where the primary model answers to that id",
    "RAG_ENABLED": "`true` or `false`: whether the agent retrieves from Llama Stack's vector store",
    "SAFETY_ENABLED": "`true` or `false`: whether inputs and answers are checked",
    "SAFETY_SHIELD": "id of Llama Stack's shield in front of the guard; empty where there is none",
    "SAFETY_MODEL": "id of the guard itself; empty without one",
    "SAFETY_ENDPOINT": "base URL where the guard answers to that id; empty without one",
    "FALLBACK_MODEL": "id of the model to turn to when the primary one fails or is too weak; empty without one",
    "FALLBACK_ENDPOINT": "base URL where the fallback answers to that id; empty without one",
    "MODEL_SELECTION": "JSON: id of the model for each kind of task",
    "MODEL_ENDPOINTS": "JSON: base URL for each id that stands in any of these variables",
    "MODEL_API_KEYS": "JSON: for each id whose endpoint wants an API key, the name of the variable that holds it",
}
"""What every agent gets, each with its meaning. Beside them stands one variable for each key of MODEL_API_KEYS."""

API_KEY_SUFFIX = "_API_KEY"


def api_key_variables(workloads: Sequence[Workload]) -> dict[str, str]:
    """For each model with an API key, by its name, the environment variable that its callers read the key from.

    In upper case: Llama Stack replaces `${env.NAME}` in its configuration for no other names.
    """
    named: dict[str, str] = {}
    taken: set[str] = set()
    for load in workloads:
        if load.spec.api_key is None:
            continue
        stem = dns_label(load.name).upper().replace("-", "_")
        numbered = (f"{stem}_{number}{API_KEY_SUFFIX}" for number in count(2))
        named[load.name] = next(name for name in chain([f"{stem}{API_KEY_SUFFIX}"], numbered) if name not in taken)
        taken.add(named[load.name])
    return named


@dataclass(frozen=True, slots=True)
class _Route:
    """One model as one agent asks it.

    Attributes:
        id: what it calls the model.
        endpoint: where the model answers to that, as a base URL.
        direct: whether the model's own server is asked.
    """

    id: str
    endpoint: str
    direct: bool


_NOWHERE = _Route("", "", direct=False)


def environment(catalog: Catalog, agent: Agent, workloads: Sequence[Workload]) -> dict[str, str | SecretReference]:
    """Every variable that `agent` gets, in a stable order: a text, or the Secret that holds the value.

    An agent that goes through Llama Stack asks there for every model that is behind it, so that whatever it asks
    passes the same server; a model that is not behind it is asked directly. Where Llama Stack is disabled, so is
    every model, and there is nothing to retrieve from.

    Args:
        catalog: the checked catalog.
        agent: one of its agents.
        workloads: every model of the catalog.
    """
    served = {name: load for load in workloads for name in load.names}
    stack = catalog.llama_stack if catalog.llama_stack and catalog.llama_stack.enabled else None
    asked = directly_asked(agent, stack, {name: load.name for name, load in served.items()})

    def route(name: str | None) -> _Route:
        if name is None:
            return _NOWHERE
        load = served[name]
        if stack and load.name not in asked:
            return _Route(stack_id(load.name), f"{stack.url}{stack.openai_prefix}", direct=False)
        return _Route(load.name, load.endpoint.url, direct=True)

    primary, fallback, guard = route(agent.model), route(agent.fallback), route(agent.safety)
    tasks = {task: route(name) for task, name in agent.tasks.items()}
    used = {one.id: one for one in (primary, fallback, guard, *tasks.values()) if one is not _NOWHERE}
    keys = api_key_variables(workloads)
    direct_keys = {one.id: keys[one.id] for one in used.values() if one.direct and one.id in keys}
    shield = served[agent.safety].name if stack and agent.safety and _shields(stack, agent.safety, served) else ""
    plain = {
        "LLAMA_STACK_ENDPOINT": stack.url if stack else "",
        "INFERENCE_MODEL": primary.id,
        "INFERENCE_ENDPOINT": primary.endpoint,
        "RAG_ENABLED": _word(bool(stack) and agent.rag),
        "SAFETY_ENABLED": _word(guard is not _NOWHERE),
        "SAFETY_SHIELD": shield,
        "SAFETY_MODEL": guard.id,
        "SAFETY_ENDPOINT": guard.endpoint,
        "FALLBACK_MODEL": fallback.id,
        "FALLBACK_ENDPOINT": fallback.endpoint,
        "MODEL_SELECTION": json.dumps({task: one.id for task, one in tasks.items()}),
        "MODEL_ENDPOINTS": json.dumps({one.id: one.endpoint for one in used.values()}),
        "MODEL_API_KEYS": json.dumps(direct_keys),
    }
    secrets = {variable: served[name].spec.api_key for name, variable in direct_keys.items()}
    return {**plain, **{variable: secret for variable, secret in secrets.items() if secret}, **agent.env}


def _shields(stack: LlamaStack, guard: str, served: Mapping[str, Workload]) -> bool:
    return stack.safety is not None and served[stack.safety].name == served[guard].name


def _word(value: bool) -> str:
    return "true" if value else "false"
