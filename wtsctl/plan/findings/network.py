"""Findings about who reaches a model: rules that shut out a caller, ways in from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.catalog.direct import asks_llama_stack
from wtsctl.catalog.fault import Path
from wtsctl.catalog.pods import Expose
from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.pods import LabelIndex, Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Rendered, Subject
from wtsctl.pods.made import identity

_NAME = "kubernetes.io/metadata.name"
_POLICY: Path = ("platform", "networkPolicy")


@dataclass(frozen=True, slots=True)
class _Caller:
    """Somebody who asks a model.

    Attributes:
        name: what messages call it.
        namespace: where its pods are.
        labels: of its pods; None where they are somebody else's.
    """

    name: str
    namespace: str
    labels: Mapping[str, Any] | None


def _shut_out(subject: Subject) -> Iterator[Hit]:
    namespaces = _namespaces(subject)
    for pod, policies in _ruled(subject):
        for caller in _callers(subject, pod):
            if not any(_lets_in(policy, caller, namespaces) for policy in policies):
                text = f"'{caller.name}' in {caller.namespace} asks {pod.about}, and no NetworkPolicy lets it"
                yield Hit(_POLICY, text, about=pod.about)


def _not_scraped(subject: Subject) -> Iterator[Hit]:
    monitors = len(subject.kinds.get("PodMonitor", ())) + len(subject.kinds.get("ServiceMonitor", ()))
    policy = subject.catalog.platform.network_policy
    if monitors and subject.kinds.get("NetworkPolicy") and not (policy.monitoring or policy.namespaces):
        yield Hit((*_POLICY, "monitoring"), "Prometheus is to read the models' metrics, and no NetworkPolicy lets it")


def _ruled(subject: Subject) -> Iterator[tuple[Pod, Sequence[Rendered]]]:
    """The pods of models and of Llama Stack that have a rule for who comes in, with the rules."""
    pods = tuple(pod for pod in subject.pods if pod.serves or pod.path == ("llamaStack",))
    index = LabelIndex(pods)
    found: defaultdict[int, list[Rendered]] = defaultdict(list)
    for made in subject.kinds.get("NetworkPolicy", ()):
        types = mapping(made.doc, "spec").get("policyTypes")
        if isinstance(types, list) and "Ingress" not in types:
            continue
        selector = mapping(made.doc, "spec", "podSelector")
        namespace = str(mapping(made.doc, "metadata").get("namespace"))
        # Rules about all pods of a namespace are few, and the same for each of them.
        labels = mapping(selector, "matchLabels")
        for at in index.find(namespace, labels) if labels else index.all(namespace):
            found[at].append(made)
    return ((pods[at], policies) for at, policies in sorted(found.items()))


def _namespaces(subject: Subject) -> Mapping[str, Mapping[str, Any]]:
    """Labels of the rendered namespaces."""
    made = (mapping(one.doc, "metadata") for one in subject.kinds.get("Namespace", ()))
    return {str(metadata.get("name")): mapping(metadata, "labels") for metadata in made}


def _callers(subject: Subject, pod: Pod) -> Iterator[_Caller]:
    catalog = subject.catalog
    stack = catalog.llama_stack
    if pod.workload is None:
        for agent in catalog.agents:
            if stack is not None and asks_llama_stack(agent, stack, subject.main_names):
                yield _Caller(agent.name, agent.namespace, subject.agent_labels.get(agent.name))
        return
    names = pod.workload.names
    if stack is not None and stack.enabled and {*stack.models, stack.safety}.intersection(names):
        yield _Caller("Llama Stack", stack.namespace, subject.stack_labels)
    for agent in subject.direct_callers.get(pod.workload.name, ()):
        yield _Caller(agent.name, agent.namespace, subject.agent_labels.get(agent.name))


def _lets_in(policy: Rendered, caller: _Caller, namespaces: Mapping[str, Mapping[str, Any]]) -> bool:
    own = str(mapping(policy.doc, "metadata").get("namespace"))
    for rule in items(policy.doc, "spec", "ingress"):
        peers = items(rule, "from")
        if not peers or any(_is(peer, caller, own, namespaces) for peer in peers):
            return True
    return False


def _is(peer: Mapping[str, Any], caller: _Caller, own: str, namespaces: Mapping[str, Mapping[str, Any]]) -> bool:
    if "ipBlock" in peer:
        # Pods have addresses too, and an address says nothing about whose it is.
        return str(mapping(peer, "ipBlock").get("cidr")).endswith("/0")
    if "namespaceSelector" in peer:
        labels = {**namespaces.get(caller.namespace, {}), _NAME: caller.namespace}
        if not _matches(mapping(peer, "namespaceSelector"), labels):
            return False
    elif caller.namespace != own:
        return False
    # Of somebody else's pods the labels are not known; whoever selects by them will know.
    return caller.labels is None or _matches(mapping(peer, "podSelector"), caller.labels)


def _matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    wanted = mapping(selector, "matchLabels").items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _holds(expression, labels) for expression in items(selector, "matchExpressions")
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, operator, values = str(expression.get("key")), expression.get("operator"), expression.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")


def _exposed(subject: Subject) -> Iterator[tuple[Path, Expose, bool]]:
    """What is reachable from outside: its path, how, and whether a key is asked for."""
    for path, workload in subject.models:
        if workload.spec.expose is not None:
            yield (*path, "expose"), workload.spec.expose, workload.spec.api_key is not None
    stack = subject.catalog.llama_stack
    if stack is not None and stack.enabled and stack.expose is not None:
        yield ("llamaStack", "expose"), stack.expose, False


def _plain(subject: Subject) -> Iterator[Hit]:
    for kind in ("Route", "Ingress"):
        for made in subject.kinds.get(kind, ()):
            if not mapping(made.doc, "spec").get("tls"):
                owner = subject.owner(made)
                path = (*owner, "expose", "tls") if owner[:1] in (("models",), ("llamaStack",)) else owner
                yield Hit(path, f"prompts, answers and keys pass the {kind} unencrypted", about=identity(made.doc))


def _open(subject: Subject) -> Iterator[Hit]:
    for path, expose, keyed in _exposed(subject):
        if not keyed:
            text = f"whoever reaches {expose.host or 'its host'} uses the GPUs, and nobody is asked for a key"
            yield Hit(path, text)


RULES = (
    Rule(
        "WTS411",
        "caller-shut-out",
        Severity.ERROR,
        "NetworkPolicy that shuts out a declared caller",
        "Its connections time out after minutes, and neither side says why: Llama Stack answers 500, the agent "
        "nothing.",
        "Let in the namespace and the pods that models.yaml names, as our templates do, or add the namespace to "
        "`platform.networkPolicy.namespaces`.",
        "kubernetes.io/docs/concepts/services-networking/network-policies",
        _shut_out,
    ),
    Rule(
        "WTS412",
        "metrics-shut-out",
        Severity.WARNING,
        "NetworkPolicy that shuts out Prometheus",
        "Its targets are down, alerts for latency never fire, and an autoscaler that asks for waiting requests sees "
        "none.",
        "Set `platform.networkPolicy.monitoring` to the namespace of Prometheus.",
        "",
        _not_scraped,
    ),
    Rule(
        "WTS413",
        "exposed-without-tls",
        Severity.WARNING,
        "Reachable from outside without TLS",
        "Everybody on the way reads what students ask, and can take the key and use it.",
        "Leave `tls` to its default, or name a certificate. Behind a load balancer that ends TLS itself, accept the "
        "finding in place.",
        "",
        _plain,
    ),
    Rule(
        "WTS414",
        "exposed-without-key",
        Severity.WARNING,
        "Reachable from outside by everybody",
        "The first crawler that finds it takes the capacity of the class, at your cost, and what it asks stands under"
        " your name.",
        "Give a model of vLLM or llama.cpp an `apiKey`. Llama Stack and KServe's huggingface server take "
        "none: put a gateway in front that asks for credentials, and accept the finding in place.",
        "",
        _open,
    ),
)
