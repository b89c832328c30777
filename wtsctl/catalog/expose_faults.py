"""What is wrong between the entries that are exposed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wtsctl.catalog.document import Defaults
from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model
from wtsctl.catalog.pods import Expose
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import workload

# Where Llama Stack has its API.
LLAMA_STACK_PREFIX = "/v1"


def expose_faults(defaults: Defaults, models: Iterable[tuple[int, Model]], stack: LlamaStack | None) -> Iterator[Fault]:
    """Two that are reached under the same address: which of them answers, the router decides."""
    taken: dict[tuple[str, ...], str] = {}
    for path, expose, owner, prefix in _exposed(defaults, models, stack):
        where = _address(expose, prefix)
        if where is None:
            continue
        other = taken.setdefault(where, owner)
        if other != owner:
            text = f"its address {where[0] or 'of any host'}{where[1]} is already that of {other}"
            yield Fault(Code.DUPLICATE, path, text, "give each a `host` of its own")


def _exposed(
    defaults: Defaults, models: Iterable[tuple[int, Model]], stack: LlamaStack | None
) -> Iterator[tuple[Path, Expose, str, str]]:
    """What is exposed: its path, how, what it is called, and the path of its API."""
    for index, model in models:
        if model.expose is not None:
            prefix = workload(defaults, model).endpoint.prefix
            yield ("models", index, "expose"), model.expose, f"models[{index}] ({model.name})", prefix
    if stack is not None and stack.enabled and stack.expose is not None:
        yield ("llamaStack", "expose"), stack.expose, "llamaStack", LLAMA_STACK_PREFIX


def _address(expose: Expose, prefix: str) -> tuple[str, ...] | None:
    """Host and path; without a host also whose, and None for a Route, which gets one of its own."""
    path = expose.path or prefix
    if expose.host is not None:
        return (expose.host, path)
    if expose.kind == "Route":
        return None
    gateway = expose.gateway
    return ("", path, expose.class_name or "", *((gateway.namespace or "", gateway.name) if gateway else ()))
