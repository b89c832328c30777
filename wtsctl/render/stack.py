"""Llama Stack: its configuration, and the objects that run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from wtsctl.catalog.agent_environment import api_key_variables
from wtsctl.catalog.direct import asks_llama_stack
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.stack import LlamaStack, operator_labels, stack_id
from wtsctl.catalog.workload import Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import environment, labels, pod_security, resources, selector
from wtsctl.render.templates import Engine
from wtsctl.render.yamltext import dump

LLAMA_STACK_PORT = 8321
# Llama Stack's own default for the longest answer; a model with a shorter context cannot give that many.
_MAX_ANSWER_TOKENS = 4096
# What a server without an API key is sent: the client library wants one.
_NO_TOKEN = "none"  # noqa: S105 - what stands where a token would
_MILVUS_TOKEN = "MILVUS_TOKEN"  # noqa: S105 - the name of a variable
# OpenShift's arbitrary user can write the volume and /tmp, nothing else.
_ENVIRONMENT = {
    "HOME": "/.llama",
    "USER": "llama",
    "LLAMA_STACK_CONFIG_DIR": "/.llama",
    "HF_HOME": "/.llama/huggingface",
}
_CONFIG = "llama-stack/config.yaml.j2"
_RUN = "llama-stack/run.yaml.j2"
_SERVER: dict[str, dict[str, Stage]] = {
    "Deployment": {
        "llama-stack/persistentvolumeclaim.yaml.j2": Stage.CONFIG,
        "llama-stack/service.yaml.j2": Stage.LLAMA_STACK,
        "llama-stack/deployment.yaml.j2": Stage.LLAMA_STACK,
    },
    "LlamaStackDistribution": {
        "llama-stack/service.yaml.j2": Stage.LLAMA_STACK,
        "llama-stack/llamastackdistribution.yaml.j2": Stage.LLAMA_STACK,
    },
}


def routed(stack: LlamaStack, served: Mapping[str, Workload]) -> list[Workload]:
    """The models behind Llama Stack, each once, the guard behind its shield last."""
    names = (*stack.models, stack.safety) if stack.safety else stack.models
    return list({served[name].name: served[name] for name in names}.values())


def pods(stack: LlamaStack) -> dict[str, str]:
    """The labels that find Llama Stack's pods, whoever made them."""
    return selector(stack.service.name) if stack.kind == "Deployment" else operator_labels(stack)


def variables(catalog: Catalog, stack: LlamaStack, workloads: tuple[Workload, ...]) -> dict[str, Any]:
    """Variables of the configuration, and with `config` and `configHash` of the templates beside it.

    Args:
        catalog: the catalog.
        stack: its `llamaStack` entry.
        workloads: every model of the catalog.

    Variables:
        llamaStack: a LlamaStack
        llamaStack.image: container image
        providers: a list of the models it routes to, the guard last: `id`, `model`, `ids` (what callers may name it
            under 0.2), `url` (in-cluster, with the runtime's prefix), `maxTokens`, `apiToken`
        guard: the guard behind its shield (`name`, `id` at Llama Stack, `model`: its Hugging Face id), or `none`
        vectorStoreToken: what stands for the token of the Milvus server, or `none`
        configFile: name of the configuration's file
        allowedFrom: namespaces whose pods speak to it, beside its own
        config: text of the configuration
        configHash: SHA-256 of what the configuration says
    """
    served = {name: load for load in workloads for name in load.names}
    guard = served[stack.safety] if stack.safety else None
    keys, name = api_key_variables(workloads), stack.service.name
    models = routed(stack, served)
    token = stack.vector_store.token if stack.vector_store and stack.vector_store.uri else None
    secrets: dict[str, str | SecretReference] = {
        keys[load.name]: load.spec.api_key for load in models if load.spec.api_key
    }
    if token:
        secrets[_MILVUS_TOKEN] = token
    return {
        "llamaStack": stack.model_dump(
            mode="json",
            by_alias=True,
            exclude={"enabled", "models", "path", "safety", "resources", "env", "expose", "patches"},
        )
        | {"image": stack.image or catalog.defaults.images.llama_stack},
        "port": LLAMA_STACK_PORT,
        "labels": labels(catalog, "llama-stack", name, "llama-stack"),
        "selector": pods(stack),
        "resources": resources(stack.resources, "", 0),
        "environment": environment({**_ENVIRONMENT, **secrets}, stack.env),
        "imagePullSecrets": [{"name": secret} for secret in catalog.platform.image_pull_secrets],
        "podSecurityContext": pod_security(catalog.defaults.run_as_user),
        "providers": [
            {
                "id": load.name,
                "model": load.name,
                "ids": _ids_of_0_2(load, guard),
                "url": load.endpoint.url,
                "maxTokens": min(_MAX_ANSWER_TOKENS, load.spec.max_model_len),
                "apiToken": _from_environment(keys.get(load.name)) or _NO_TOKEN,
            }
            for load in models
        ],
        "guard": {"name": guard.name, "id": stack_id(guard.name), "model": guard.spec.model} if guard else None,
        "vectorStoreToken": _from_environment(_MILVUS_TOKEN if token else None),
        "configFile": "run.yaml" if stack.reads_run_yaml and stack.kind == "Deployment" else "config.yaml",
        "allowedFrom": _callers(catalog, stack),
    }


def _ids_of_0_2(load: Workload, guard: Workload | None) -> list[str]:
    """What 0.2 lets callers name a model: the id of 0.7, its aliases, and for the guard its Hugging Face id.

    Not its bare name: since 0.2.16 that is registered as the first of these again. The shield asks for the guard's
    Hugging Face id, whatever else it is registered as.
    """
    return list(dict.fromkeys((stack_id(load.name), *load.spec.aliases, *([load.spec.model] if load is guard else ()))))


def _from_environment(variable: str | None) -> str | None:
    """What Llama Stack replaces in its configuration by the value of an environment variable."""
    return f"${{env.{variable}}}" if variable else None


def _callers(catalog: Catalog, stack: LlamaStack) -> list[str]:
    """Namespaces that the operator's NetworkPolicy, where it makes one, has to let in."""
    rules = catalog.platform.network_policy
    main = {name: model.name for model in catalog.models for name in (model.name, *model.aliases)}
    callers = [agent.namespace for agent in catalog.agents if asks_llama_stack(agent, stack, main)]
    named = [*callers, *rules.namespaces, *(rules.ingress,), *(rules.monitoring,)]
    return sorted({namespace for namespace in named if namespace and namespace != stack.namespace})


def config_hash(config: Any) -> str:
    """What stands on the pods as an annotation, so that a changed configuration restarts them.

    It is made from what the configuration says, not from how it is written: a comment restarts nothing.
    """
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def jobs(asked: Asked, engine: Engine) -> Iterator[Job]:
    """The objects of Llama Stack, where it is asked for."""
    if asked.stack is None:
        return
    named = variables(asked.catalog, asked.stack, asked.everything)
    # Read back and written again, so that what the server gets is valid YAML whatever the template looks like.
    config = engine.values(_RUN if asked.stack.reads_run_yaml else _CONFIG, named)
    named |= {"config": dump(config), "configHash": config_hash(config)}
    yield Job("llama-stack/configmap.yaml.j2", named, Stage.CONFIG, None, asked.stack.path)
    for template, stage in _SERVER[asked.stack.kind].items():
        yield Job(template, named, stage, None, asked.stack.path)
