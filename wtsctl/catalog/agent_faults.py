"""What is wrong within one of the `agents`."""

from __future__ import annotations

from collections.abc import Iterator

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.agent_environment import API_KEY_SUFFIX, VARIABLES
from wtsctl.catalog.fault import Code, Fault, Path

_ONLY_WITH_IMAGE = ("replicas", "port", "resources")


def agent_faults(path: Path, agent: Agent) -> Iterator[Fault]:
    """Every fault of one agent that is no missing name."""
    for name in agent.env:
        if name in VARIABLES or name.endswith(API_KEY_SUFFIX):
            text = f"'{name}' follows from the rest of models.yaml, or is a key that belongs into a Secret"
            hint = "leave it out; `patches` can refer to a Secret"
            yield Fault(Code.VALUE, (*path, "env", name), text, hint, at_key=True)
    if agent.image is None:
        for key in _ONLY_WITH_IMAGE:
            if key in agent.model_fields_set:
                text = "has no effect without `image`: the Deployment is somebody else's"
                yield Fault(Code.NO_EFFECT, (*path, key), text, "leave it out, or set image", at_key=True)
