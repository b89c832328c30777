"""Which Secrets the pods read, and in which namespaces: a pod sees only those of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.direct import directly_asked
from wtsctl.catalog.document import Defaults
from wtsctl.catalog.fault import Code, Fault, Path, format_path
from wtsctl.catalog.model import Model, Runtime
from wtsctl.catalog.platform import Secrets
from wtsctl.catalog.pods import SecretReference
from wtsctl.catalog.stack import LlamaStack


@dataclass(frozen=True, slots=True)
class SecretUse:
    """One reference to a Secret, in one namespace whose pods read it.

    Attributes:
        namespace: where the Secret has to be.
        reference: the entry of models.yaml.
        path: where that entry stands.
    """

    namespace: str
    reference: SecretReference
    path: Path


def secret_uses(
    defaults: Defaults,
    secrets: Secrets,
    models: Iterable[tuple[int, Model]],
    stack: LlamaStack | None,
    agents: Iterable[Agent],
) -> Iterator[SecretUse]:
    """Every reference in every namespace whose pods read it, each once.

    Args:
        defaults: for the namespaces of models that name none.
        secrets: the catalog's `secrets`.
        models: the models that are asked about, each with its index in the catalog.
        stack: Llama Stack, where it is asked about; it reads the API keys of the models that it routes to.
        agents: the agents that are asked about. They read the API keys of the models that they ask directly, but
            those without an image are somebody else's pods, in namespaces that may not be there yet.
    """
    known = list(models)
    if secrets.huggingface is not None:
        downloading = (one for _, one in known if one.runtime is not Runtime.LLAMACPP)
        for namespace in dict.fromkeys(one.namespace or defaults.namespace for one in downloading):
            yield SecretUse(namespace, secrets.huggingface, ("secrets", "huggingface"))
    main = {name: one.name for _, one in known for name in (one.name, *one.aliases)}
    routed = {*stack.models, stack.safety} if stack is not None and stack.enabled else set()
    direct = [(agent.namespace, directly_asked(agent, stack, main)) for agent in agents if agent.image]
    for index, model in known:
        if model.api_key is None:
            continue
        namespaces = [model.namespace or defaults.namespace]
        if stack is not None and routed.intersection((model.name, *model.aliases)):
            namespaces.append(stack.namespace)
        namespaces += [namespace for namespace, asked in direct if model.name in asked]
        for namespace in dict.fromkeys(namespaces):
            yield SecretUse(namespace, model.api_key, ("models", index, "apiKey"))
    if stack is not None and stack.vector_store is not None and stack.vector_store.token is not None:
        yield SecretUse(stack.namespace, stack.vector_store.token, ("llamaStack", "vectorStore", "token"))


def secret_faults(uses: Iterable[SecretUse]) -> Iterator[Fault]:
    """References to one Secret of one namespace that contradict each other."""
    first: dict[tuple[str, str], SecretUse] = {}
    keys: dict[tuple[str, str, str], SecretUse] = {}
    told: set[Path] = set()
    for use in uses:
        one = use.reference
        whole = first.setdefault((use.namespace, one.name), use)
        same = keys.setdefault((use.namespace, one.name, one.key), use)
        if _maker(one) != _maker(whole.reference):
            other, text = whole, f"the Secret {use.namespace}/{one.name} comes from {_maker(one)} here"
        elif _value(one) != _value(same.reference):
            other, text = same, f"the key {one.key} of {use.namespace}/{one.name} comes from {_value(one)} here"
        else:
            continue
        if use.path in told:
            continue
        told.add(use.path)
        theirs = (_maker if other is whole else _value)(other.reference)
        text = f"{text}, and from {theirs} at {format_path(other.path)}"
        yield Fault(Code.VALUE, use.path, text, "give the Secrets different names, or the same source")


def _maker(reference: SecretReference) -> str:
    """Who makes the Secret as a whole; its keys cannot be made by several."""
    if reference.external is not None:
        store = reference.external
        return f"{store.store_kind} {store.store}, read every {store.refresh_interval}"
    return "wtsctl" if reference.source else "somebody else"


def _value(reference: SecretReference) -> str:
    if reference.external is not None:
        store = reference.external
        return store.key if store.property is None else f"{store.key} ({store.property})"
    return str(reference.source)
