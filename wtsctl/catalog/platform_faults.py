"""What is wrong between `platform` and the other entries of models.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wtsctl.catalog.entry import Mode
from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model
from wtsctl.catalog.platform import Platform
from wtsctl.catalog.pods import Expose
from wtsctl.catalog.stack import LlamaStack


def platform_faults(
    platform: Platform, models: Iterable[tuple[int, Model]], stack: LlamaStack | None
) -> Iterator[Fault]:
    """Every fault between `platform` and what it stands around."""
    policy = platform.network_policy
    if policy.mode is Mode.OFF:
        return
    at: Path = ("platform", "networkPolicy")
    if policy.api_server is None:
        text = "without apiServer, deploy, status and smoke-test would be cut off from the models"
        hint = "the addresses of `kubectl get endpointslices -n default kubernetes`; docs/how-to/network-policies.md"
        yield Fault(Code.MISSING, at, text, hint)
    if policy.ingress is None:
        outside: list[tuple[Path, Expose | None]] = [(("models", index, "expose"), one.expose) for index, one in models]
        if stack is not None:
            outside.append((("llamaStack", "expose"), stack.expose))
        for path, expose in outside:
            if expose is not None and expose.kind != "Route":
                text = f"no {expose.kind} gets through platform.networkPolicy without its `ingress`"
                hint = "set platform.networkPolicy.ingress to the namespace of the pods that pass requests on"
                yield Fault(Code.MISSING, path, text, hint)
