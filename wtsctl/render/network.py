"""Who may speak to the models and to Llama Stack: NetworkPolicies from what models.yaml says they are asked by.

A policy is about pods and the ports that they listen on, not about Services. Only incoming traffic is ruled:
servers download weights from anywhere, and a policy cannot name the hosts of a model hub.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wtsctl.catalog.agent import Agent
from wtsctl.catalog.direct import asks_llama_stack, directly_asked
from wtsctl.catalog.entry import Mode
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.pods import Expose
from wtsctl.catalog.stack import LlamaStack, operator_labels
from wtsctl.catalog.workload import SHARED_PATH, Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.models import CONTAINER_PORT
from wtsctl.render.pod import labels, selector
from wtsctl.render.stack import LLAMA_STACK_PORT

_POLICY = "workload/networkpolicy.yaml.j2"
_DENY = "shared/networkpolicy.yaml.j2"
# Set by Kubernetes itself on every namespace.
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
# OpenShift's own labels for what comes from a node's network, as its API server does, and from its router:
# https://docs.redhat.com/en/documentation/openshift_container_platform/4.19/html/network_security/network-policy
_OPENSHIFT_HOST = {"policy-group.network.openshift.io/host-network": ""}
_OPENSHIFT_ROUTER = {"policy-group.network.openshift.io/ingress": ""}
# What KServe puts on the pods of an InferenceService: github.com/kserve/kserve, pkg/constants/constants.go
KSERVE_POD_LABEL = "serving.kserve.io/inferenceservice"
_KSERVE_PORT = 8080

Peer = dict[str, Any]


def pods_of(load: Workload) -> dict[str, str]:
    """The labels that find the pods of a model, whoever makes them."""
    if load.spec.runtime is Runtime.KSERVE:
        return {KSERVE_POD_LABEL: load.object_name}
    return selector(load.object_name)


def port_of(load: Workload) -> int:
    """The port that the pods of a model listen on."""
    return _KSERVE_PORT if load.spec.runtime is Runtime.KSERVE else CONTAINER_PORT


def stack_pods(stack: LlamaStack) -> dict[str, str]:
    """The labels that find the pods of Llama Stack."""
    if stack.kind == "LlamaStackDistribution":
        return operator_labels(stack)
    return selector(stack.service.name)


def jobs(asked: Asked) -> Iterator[Job]:
    """A policy that denies for each namespace of models and Llama Stack, and one that allows for each of these."""
    if asked.catalog.platform.network_policy.mode is Mode.OFF:
        return
    closed = dict.fromkeys(load.namespace for load in asked.chosen)
    if asked.stack:
        closed |= {asked.stack.namespace: None}
    for namespace in closed:
        denied = {"namespace": namespace, "labels": labels(asked.catalog, "network", namespace, "network")}
        yield Job(_DENY, denied, Stage.CONFIG, None, SHARED_PATH)
    for load in asked.chosen:
        kind = labels(asked.catalog, load.spec.runtime.value, load.object_name, "model")
        named = variables(load.object_name, load.namespace, kind, pods_of(load), port_of(load))
        named |= {"peers": list(_callers_of_model(asked, load)), "group": load.grouped}
        yield Job(_POLICY, named, Stage.CONFIG, load.name, load.path)
    if asked.stack:
        stack = asked.stack
        name = stack.service.name
        kind = labels(asked.catalog, "llama-stack", name, "llama-stack")
        named = variables(name, stack.namespace, kind, stack_pods(stack), LLAMA_STACK_PORT)
        named |= {"peers": list(_callers_of_stack(asked, stack))}
        yield Job(_POLICY, named, Stage.CONFIG, None, stack.path)
    for agent in asked.agents:
        if agent.image and agent.namespace in closed:
            kind = labels(asked.catalog, "agent", agent.name, "agent")
            named = variables(agent.name, agent.namespace, kind, selector(agent.name), agent.port)
            named |= {"everyone": True}
            yield Job(_POLICY, named, Stage.CONFIG, None, agent.folder)


def variables(name: str, namespace: str, named: dict[str, str], pods: dict[str, str], port: int) -> dict[str, Any]:
    """Variables of `workload/networkpolicy.yaml.j2`.

    Variables:
        name: name of the object
        namespace: the namespace of the object
        labels: the [recommended labels](https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/)
        pods: the labels of the pods that it is about
        port: port that the container listens on
        peers: who may reach that port, as a list of NetworkPolicyPeer; nobody where it is empty
        group: whether its pods serve one model together and speak to each other on any port
        everyone: whether anyone may reach the port; who asks an agent is not in models.yaml
    """
    return {
        "name": name,
        "namespace": namespace,
        "labels": named,
        "pods": pods,
        "port": port,
        "peers": [],
        "group": False,
        "everyone": False,
    }


def _callers_of_model(asked: Asked, load: Workload) -> Iterator[Peer]:
    catalog = asked.catalog
    stack = catalog.llama_stack
    if stack and stack.enabled and {*stack.models, stack.safety}.intersection(load.names):
        yield _pods(stack.namespace, stack_pods(stack))
    main = _main_names(asked)
    yield from _agents(agent for agent in catalog.agents if load.name in directly_asked(agent, stack, main))
    yield from _others(asked, load.spec.expose, metrics=True)


def _callers_of_stack(asked: Asked, stack: LlamaStack) -> Iterator[Peer]:
    main = _main_names(asked)
    yield from _agents(agent for agent in asked.catalog.agents if asks_llama_stack(agent, stack, main))
    # Its metrics go to an OpenTelemetry collector that it sends them to; nobody comes for them.
    yield from _others(asked, stack.expose, metrics=False)


def _main_names(asked: Asked) -> dict[str, str]:
    return {name: load.name for load in asked.everything for name in load.names}


def _agents(agents: Iterator[Agent]) -> Iterator[Peer]:
    """Agents by their pods where they are ours; of those that are not, only the namespace is known."""
    peers: dict[str, dict[str, Mapping[str, str] | None]] = {}
    for agent in agents:
        pods = selector(agent.name) if agent.image else None
        peers.setdefault(agent.namespace, {})["" if pods is None else agent.name] = pods
    for namespace, found in peers.items():
        if "" in found:
            yield _namespace(namespace)
        else:
            yield from (_pods(namespace, pods) for pods in found.values() if pods is not None)


def _others(asked: Asked, expose: Expose | None, *, metrics: bool) -> Iterator[Peer]:
    policy = asked.catalog.platform.network_policy
    if metrics and policy.monitoring:
        yield _namespace(policy.monitoring)
    if expose is not None:
        if expose.kind == "Route":
            yield {"namespaceSelector": {"matchLabels": _OPENSHIFT_ROUTER}}
        if policy.ingress:
            yield _namespace(policy.ingress)
    for namespace in policy.namespaces:
        yield _namespace(namespace)
    yield {"namespaceSelector": {"matchLabels": _OPENSHIFT_HOST}}
    for addresses in policy.api_server or ():
        yield {"ipBlock": {"cidr": addresses}}


def _namespace(name: str) -> Peer:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _pods(namespace: str, pods: Mapping[str, str]) -> Peer:
    return _namespace(namespace) | {"podSelector": {"matchLabels": dict(pods)}}
