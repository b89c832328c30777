"""The agents: whole where models.yaml has their image, otherwise the environment of somebody else's Deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wtsctl.catalog import agent_environment
from wtsctl.catalog.agent import Agent
from wtsctl.catalog.document import Catalog
from wtsctl.catalog.pods import ResourceList, Resources
from wtsctl.catalog.workload import Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import environment, labels, pod_security, resources, selector

FIELD_MANAGER = "wtsctl-agents"
"""Who owns the environment of somebody else's Deployment: not the manager of what wtsctl makes whole."""

_RESOURCES = Resources(requests=ResourceList(cpu="100m", memory="256Mi"), limits=ResourceList(cpu="1", memory="512Mi"))
_WHOLE = ("agents/service.yaml.j2", "agents/deployment.yaml.j2")
_PART = "agents/environment.yaml.j2"


def variables(catalog: Catalog, agent: Agent, workloads: Sequence[Workload]) -> dict[str, Any]:
    """Variables of the templates under `agents/`.

    Variables:
        agent: an Agent
        agent.container: the container that gets the environment
        environment: its variables, each once; tokens are references to Secrets
    """
    entry = agent.model_dump(mode="json", by_alias=True, include={"name", "namespace", "image", "replicas", "port"})
    return {
        "agent": entry | {"container": agent.container or agent.name},
        "labels": labels(catalog, "agent", agent.name, "agent"),
        "selector": selector(agent.name),
        "environment": environment(agent_environment.environment(catalog, agent, workloads), {}),
        "resources": resources(agent.resources or _RESOURCES, "", 0),
        "podSecurityContext": pod_security(catalog.defaults.run_as_user),
        "imagePullSecrets": [{"name": name} for name in catalog.platform.image_pull_secrets],
    }


def jobs(asked: Asked) -> Iterator[Job]:
    """The objects of each agent with an image, and the environment of each without."""
    for agent in asked.agents:
        named = variables(asked.catalog, agent, asked.everything)
        for template in _WHOLE if agent.image else (_PART,):
            yield Job(template, named, Stage.AGENTS, None, agent.folder, partial=agent.image is None)
