"""Llama Stack: its configuration, and the objects that run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels, pod_security, resources, selector
from wtsctl.render.templates import Engine
from wtsctl.render.yamltext import dump

LLAMA_STACK_PORT = 8321
# Llama Stack's own default for the longest answer; a model with a shorter context cannot give that many.
_MAX_ANSWER_TOKENS = 4096
_CONFIG = "llama-stack/config.yaml.j2"
_TEMPLATES: dict[str, Stage] = {
    "llama-stack/configmap.yaml.j2": Stage.CONFIG,
    "llama-stack/persistentvolumeclaim.yaml.j2": Stage.CONFIG,
    "llama-stack/service.yaml.j2": Stage.LLAMA_STACK,
    "llama-stack/deployment.yaml.j2": Stage.LLAMA_STACK,
}


def variables(catalog: Catalog, stack: LlamaStack, served: Mapping[str, Workload]) -> dict[str, Any]:
    """Variables of `llama-stack/config.yaml.j2`, and with `configHash` of the templates beside it.

    Args:
        catalog: the catalog.
        stack: its `llamaStack` entry.
        served: every workload by the name and aliases of its model.

    Variables:
        llamaStack: a LlamaStack
        llamaStack.image: container image
        providers: a list of the models it routes to, the guard included: `id`, `model`, `url` (in-cluster, with the
            runtime's prefix), `maxTokens`
        guard: id of the model behind its shield, or `none`
        config: text of the configuration
        configHash: SHA-256 of what the configuration says
    """
    models = [served[name] for name in stack.models]
    guard = served[stack.safety] if stack.safety else None
    if guard and guard not in models:
        models.append(guard)
    name = stack.service.name
    return {
        "llamaStack": stack.model_dump(
            mode="json", by_alias=True, exclude={"enabled", "models", "path", "safety", "resources"}
        )
        | {"image": stack.image or catalog.defaults.images.llama_stack},
        "port": LLAMA_STACK_PORT,
        "labels": labels(catalog, "llama-stack", name, "llama-stack"),
        "selector": selector(name),
        "resources": resources(stack.resources, "", 0),
        "podSecurityContext": pod_security(catalog.defaults.run_as_user),
        "providers": [
            {
                "id": workload.name,
                "model": workload.name,
                "url": workload.endpoint.url,
                "maxTokens": min(_MAX_ANSWER_TOKENS, workload.spec.max_model_len),
            }
            for workload in models
        ],
        "guard": guard.name if guard else None,
    }


def config_hash(config: Any) -> str:
    """What stands on the pods as an annotation, so that a changed configuration restarts them.

    It is made from what the configuration says, not from how it is written: a comment restarts nothing.
    """
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def jobs(asked: Asked, engine: Engine) -> Iterator[Job]:
    """The objects of Llama Stack, where it is asked for."""
    if asked.stack is None:
        return
    served = {name: load for load in asked.everything for name in load.names}
    named = variables(asked.catalog, asked.stack, served)
    # Read back and written again, so that what the server gets is valid YAML whatever the template looks like.
    config = engine.values(_CONFIG, named)
    named |= {"config": dump(config), "configHash": config_hash(config)}
    for template, stage in _TEMPLATES.items():
        yield Job(template, named, stage, None, asked.stack.path)
