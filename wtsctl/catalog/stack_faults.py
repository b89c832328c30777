"""What is wrong within `llamaStack`, or between it and the models behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model
from wtsctl.catalog.stack import LlamaStack, VectorStore

# Where Llama Stack's volume is, as templates/llama-stack/ mounts it.
_VOLUME = "/.llama/"
_MAX_LABEL = 63
_LEAVE_OUT = "leave it out"
# llama-stack 0.2.12, providers/inline/safety/llama_guard/llama_guard.py: up to 0.2.14 it knows its models by these.
_GUARDS = ("meta-llama/Llama-Guard-3-8B", "meta-llama/Llama-Guard-3-1B", "meta-llama/Llama-Guard-3-11B-Vision")
_LAST_WITH_LIST = 14


def stack_faults(stack: LlamaStack, models: Iterable[tuple[int, Model]]) -> Iterator[Fault]:
    """Every fault of `llamaStack` that is no missing name."""
    seen = {stack.namespace: "its own namespace"}
    for index, namespace in enumerate(stack.also_in):
        if namespace in seen:
            text = f"expected another namespace, but '{namespace}' is {seen[namespace]}"
            yield Fault(Code.DUPLICATE, ("llamaStack", "alsoIn", index), text, _LEAVE_OUT)
        seen.setdefault(namespace, f"alsoIn[{index}] already")
    if stack.kind == "LlamaStackDistribution":
        yield from _operator(stack)
    if stack.vector_store is not None:
        yield from _vector_store(stack.vector_store)
    if stack.reads_run_yaml and stack.safety is not None:
        yield from _listed_guard(stack, stack.safety, models)


def _operator(stack: LlamaStack) -> Iterator[Fault]:
    if stack.storage_class is not None:
        text = "has no effect with kind LlamaStackDistribution, which has no field for it"
        hint = "leave it out: the volume gets the cluster's default class"
        yield Fault(Code.NO_EFFECT, ("llamaStack", "storageClass"), text, hint, at_key=True)
    if len(operator_service(stack)) > _MAX_LABEL:
        text = f"the operator's Service '{operator_service(stack)}' would have more than {_MAX_LABEL} characters"
        yield Fault(Code.VALUE, ("llamaStack", "service", "name"), text, "choose a shorter name")


def operator_service(stack: LlamaStack) -> str:
    """The Service that the operator makes: llama-stack-k8s-operator, pkg/deploy/utils.go, GetServiceName."""
    return f"{stack.service.name}-service"


def _vector_store(store: VectorStore) -> Iterator[Fault]:
    path: Path = ("llamaStack", "vectorStore")
    if store.uri is None:
        if not store.path.startswith(_VOLUME):
            text = f"expected a path under {_VOLUME}, where the volume is, got '{store.path}'"
            yield Fault(Code.VALUE, (*path, "path"), text, "elsewhere it is lost with the pod")
        if store.token is not None:
            text = "has no effect without `uri`: Milvus Lite is a file and asks nobody for a token"
            yield Fault(Code.NO_EFFECT, (*path, "token"), text, _LEAVE_OUT, at_key=True)
    elif "path" in store.model_fields_set:
        text = "has no effect with `uri`: the vectors are on that server"
        yield Fault(Code.NO_EFFECT, (*path, "path"), text, _LEAVE_OUT, at_key=True)


def _listed_guard(stack: LlamaStack, guard: str, models: Iterable[tuple[int, Model]]) -> Iterator[Fault]:
    release = [int(part) for part in stack.version.split(".")]
    if release[2:] > [_LAST_WITH_LIST]:
        return
    for _, model in models:
        if guard in (model.name, *model.aliases) and model.model not in _GUARDS:
            text = f"Llama Stack {stack.version} has a shield for {', '.join(_GUARDS)} only, and this is {model.model}"
            hint = f"set llamaStack.version to the exact release of the image, if that is after 0.2.{_LAST_WITH_LIST}"
            yield Fault(Code.REFERENCE, ("llamaStack", "safety"), text, hint)
