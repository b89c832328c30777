"""Findings about Services: what they are called, which pods they choose, which ports they lead to."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from wtsctl.plan.findings.objects import items, mapping
from wtsctl.plan.findings.pods import LabelIndex, Pod
from wtsctl.plan.findings.rule import Hit, Rule, Severity
from wtsctl.plan.findings.subject import Rendered, Subject
from wtsctl.pods.made import identity

# Variables that a server reads and that Kubernetes would set for a Service of some name: NAME_PORT is
# `tcp://10.0.0.1:8000`, NAME_SERVICE_HOST an address. vllm/envs.py; llama-stack, cli/stack/run.py; torch.distributed;
# llama.cpp, common/arg.cpp.
_READ = {
    "VLLM_PORT": "vLLM",
    "VLLM_DP_MASTER_PORT": "vLLM",
    "VLLM_NIXL_SIDE_CHANNEL_PORT": "vLLM",
    "VLLM_MOONCAKE_BOOTSTRAP_PORT": "vLLM",
    "MASTER_PORT": "PyTorch",
    "LLAMA_STACK_PORT": "Llama Stack",
    "LLAMA_ARG_PORT": "llama.cpp",
}


def _services(subject: Subject) -> Iterator[tuple[Rendered, str, str]]:
    for made in subject.kinds.get("Service", ()):
        metadata = mapping(made.doc, "metadata")
        yield made, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _bad_name(subject: Subject) -> Iterator[Hit]:
    for made, _, name in _services(subject):
        variable = f"{name.upper().replace('-', '_')}_PORT"
        if variable in _READ:
            text = f"a Service called '{name}' makes Kubernetes set {variable}, which {_READ[variable]} reads"
            path = _name_path(subject, made)
            yield Hit(path, text, f"give it another name, such as `{_free_name(subject, made)}`", identity(made.doc))


def _free_name(subject: Subject, made: Rendered) -> str:
    """A name for a Service that says what it leads to, makes no variable that a server reads, and nobody has."""
    metadata = mapping(made.doc, "metadata")
    taken = {name for _, namespace, name in _services(subject) if namespace == metadata.get("namespace", "")}
    name = str(metadata.get("name"))
    # Names of Services have no dots, and 63 characters at most.
    own = re.sub(r"[^a-z0-9]+", "-", (made.model or "server").lower()).strip("-")
    base = (own if own.startswith(f"{name}-") else f"{name}-{own}")[:60].rstrip("-")
    further = (f"{base}-{at}" for at in itertools.count(2))
    return next(one for one in itertools.chain([base], further) if one not in taken)


def _name_path(subject: Subject, made: Rendered) -> tuple[str | int, ...]:
    owner = subject.owner(made)
    return (*owner, "service", "name") if owner else owner


def _links(subject: Subject) -> Iterator[Hit]:
    for pod in subject.pods:
        if pod.spec.get("enableServiceLinks") is not False and pod.kind != "LlamaStackDistribution":
            yield Hit(pod.path, "its pods get variables for every Service of the namespace", about=pod.about)


def _selected(subject: Subject) -> Iterator[tuple[Rendered, list[Pod]]]:
    pods = tuple(pod for pod in subject.pods if pod.kind not in ("Job", "CronJob"))
    index = LabelIndex(pods)
    for made, namespace, _ in _services(subject):
        selector = mapping(made.doc, "spec", "selector")
        if selector:
            yield made, [pods[at] for at in index.find(namespace, selector)]


def _mixed(subject: Subject) -> Iterator[Hit]:
    for made, pods in _selected(subject):
        names = sorted({pod.about for pod in pods})
        if len(names) > 1:
            text = f"it leads to the pods of {len(names)} objects: {', '.join(names[:4])}"
            yield Hit(subject.owner(made), text, about=identity(made.doc))


def _empty(subject: Subject) -> Iterator[Hit]:
    for made, pods in _selected(subject):
        if not pods and made.model is not None:
            yield Hit(
                subject.owner(made), "its selector matches the pods of no rendered object", about=identity(made.doc)
            )


def _no_such_port(subject: Subject) -> Iterator[Hit]:
    for made, pods in _selected(subject):
        # KServe adds ports of its own to what the catalog renders.
        for pod in (pod for pod in pods if pod.kind != "InferenceService"):
            ports = [port for container in pod.containers for port in items(container.spec, "ports")]
            names = {str(port.get("name")) for port in ports}
            numbers = {str(port.get("containerPort")) for port in ports}
            for port in items(made.doc, "spec", "ports"):
                target = str(port.get("targetPort", port.get("port")))
                if target not in numbers and target not in names:
                    text = f"its port {port.get('port')} leads to {target}, which no container of {pod.about} has"
                    yield Hit(subject.owner(made), text, about=identity(made.doc))


def _twice(subject: Subject) -> Iterator[Hit]:
    for made, _, _ in _services(subject):
        ports = items(made.doc, "spec", "ports")
        numbers = Counter((str(port.get("port")), str(port.get("protocol", "TCP"))) for port in ports)
        names = Counter(str(port.get("name")) for port in ports if port.get("name"))
        again = [number for (number, _), count in numbers.items() if count > 1]
        again += [f"'{name}'" for name, count in names.items() if count > 1]
        if again:
            yield Hit(subject.owner(made), f"its port {', '.join(again)} is there twice", about=identity(made.doc))
    for pod in subject.pods:
        listed = [port for container in pod.containers for port in items(container.spec, "ports")]
        counted = Counter((str(port.get("containerPort")), str(port.get("protocol", "TCP"))) for port in listed)
        again = [number for (number, _), count in counted.items() if count > 1]
        if again:
            yield Hit(
                pod.path, f"two containers of a pod, or one twice, have the port {', '.join(again)}", about=pod.about
            )


def _other_port(subject: Subject) -> Iterator[Hit]:
    for pod in subject.servers:
        port = pod.server.option("--port", "--http_port") if pod.server else None
        if pod.server is None or port is None:
            continue
        declared = {str(one.get("containerPort")) for one in items(pod.server.spec, "ports")}
        if declared and port not in declared:
            text = f"its server listens on {port}, and the container declares {', '.join(sorted(declared))}"
            yield Hit(pod.path, text, about=pod.about)


RULES = (
    Rule(
        "WTS401",
        "service-name-becomes-variable",
        Severity.ERROR,
        "Name of a Service becomes a variable that a server reads",
        "In every pod of the namespace that has service links, Kubernetes sets NAME_PORT to an address such as "
        "`tcp://10.0.0.1:8000`. vLLM ends with `VLLM_PORT ... appears to be a URI`, and others listen nowhere. Pods "
        "that other people start there have service links by default.",
        "Give the Service another name, that of the model for one.",
        "vllm-project/vllm issue 34199",
        _bad_name,
    ),
    Rule(
        "WTS402",
        "service-links",
        Severity.WARNING,
        "Pods with variables for every Service",
        "A Service that somebody makes in the namespace, such as one called `vllm`, changes the environment of these "
        "pods at their next start. With thousands of Services they do not start at all.",
        "Set `enableServiceLinks: false` in the pod, as our templates do.",
        "vllm-project/vllm issue 34199",
        _links,
    ),
    Rule(
        "WTS403",
        "port-twice",
        Severity.ERROR,
        "Port that is there twice",
        "The API server refuses a Service with a port or a name of a port twice, and of two processes in a pod that "
        "listen on one port the second fails.",
        "Give each its own number and name.",
        "",
        _twice,
    ),
    Rule(
        "WTS404",
        "service-mixes-models",
        Severity.ERROR,
        "Service leads to the pods of several objects",
        "Requests for one model go to another one in turn: some are answered with 404 `The model ... does not exist`,"
        " or worse, by the wrong model.",
        "Make the selector match the labels of one object alone.",
        "vllm-project/vllm issue 3486",
        _mixed,
    ),
    Rule(
        "WTS405",
        "service-without-pods",
        Severity.ERROR,
        "Service that leads nowhere",
        "The Service has no endpoints, so that every request is refused however healthy the pods are.",
        "Make the selector match the labels of the model's pods.",
        "",
        _empty,
    ),
    Rule(
        "WTS406",
        "service-port-leads-nowhere",
        Severity.ERROR,
        "Port of a Service that no container has",
        "Connections are refused, or a named port leaves the Service without endpoints.",
        "Let `targetPort` name a port of the container.",
        "",
        _no_such_port,
    ),
    Rule(
        "WTS407",
        "server-on-another-port",
        Severity.ERROR,
        "Server listens on another port than its container declares",
        "Probes and the Service go to the declared port, where nobody listens: the pod is never ready.",
        "Leave `--port` out of `args`; `service.port` is the one that callers use.",
        "",
        _other_port,
    ),
)
