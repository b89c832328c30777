"""What makes an endpoint reachable from outside the cluster: an OpenShift Route, an Ingress, or an HTTPRoute."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.document import Catalog
from wtsctl.catalog.expose_faults import LLAMA_STACK_PREFIX
from wtsctl.catalog.pods import Expose
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.stack import LlamaStack
from wtsctl.catalog.workload import Endpoint, Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels

# Every Service that is exposed calls its port so, and so does KServe's, which takes the name from the pods.
_PORT_NAME = "http"
# Routers that read none of these take the annotation for what it is: a note.
_ROUTE_TIMEOUT = "haproxy.router.openshift.io/timeout"
_NGINX = "nginx.ingress.kubernetes.io"


def jobs(asked: Asked) -> Iterator[Job]:
    """What exposes the chosen models and Llama Stack."""
    for load in asked.chosen:
        if load.spec.expose:
            named = {"expose": model(asked.catalog, load, load.spec.expose)}
            yield Job(_template(load.spec.expose), named, Stage.MODELS, load.name, load.path)
    if asked.stack and asked.stack.expose:
        named = {"expose": llama_stack(asked.catalog, asked.stack, asked.stack.expose)}
        yield Job(_template(asked.stack.expose), named, Stage.LLAMA_STACK, None, asked.stack.path)


def model(catalog: Catalog, load: Workload, expose: Expose) -> dict[str, Any]:
    """Variables of `workload/route.yaml.j2`, `ingress` and `httproute` for a model."""
    named = labels(catalog, load.spec.runtime.value, load.object_name, "model")
    return _variables(expose, load.object_name, load.endpoint, named)


def llama_stack(catalog: Catalog, stack: LlamaStack, expose: Expose) -> dict[str, Any]:
    """The same variables for Llama Stack."""
    name = stack.service.name
    named = labels(catalog, "llama-stack", name, "llama-stack")
    endpoint = Endpoint(stack.namespace, name, stack.service.port, LLAMA_STACK_PREFIX)
    return _variables(expose, name, endpoint, named)


def _template(expose: Expose) -> str:
    return f"workload/{expose.kind.lower()}.yaml.j2"


def _variables(expose: Expose, name: str, endpoint: Endpoint, named: dict[str, str]) -> dict[str, Any]:
    """What the templates of all three kinds are given.

    Variables:
        expose.name: name of the object
        expose.namespace: its namespace, that of the Service
        expose.labels: its labels
        expose.annotations: its annotations: timeouts that the router reads, and those of the catalog, which win
        expose.service: `name` and `port` of the Service, and `portName`
        expose.host: host name, or `none`
        expose.path: path that is passed on, with everything below it
        expose.className: class of an Ingress, or `none`
        expose.gateway: `name`, `namespace` and `sectionName` of the Gateway, or `none`
        expose.tls: `secret` and `termination`, or `none` for plain HTTP
        expose.timeout: longest time for one answer, in seconds with their unit: `600s`
    """
    seconds = math.ceil(parse_duration(expose.timeout))
    return {
        "name": name,
        "namespace": endpoint.namespace,
        "labels": named,
        "annotations": _annotations(expose, seconds) | expose.annotations,
        "service": {"name": endpoint.service, "port": endpoint.port, "portName": _PORT_NAME},
        "host": expose.host,
        "path": expose.path or endpoint.prefix,
        "className": expose.class_name,
        "gateway": expose.gateway.model_dump(mode="json", by_alias=True) if expose.gateway else None,
        "tls": expose.tls.model_dump(mode="json", by_alias=True) if expose.tls.enabled else None,
        "timeout": f"{seconds}s",
    }


def _annotations(expose: Expose, seconds: int) -> dict[str, str]:
    """What the router in question has to be told, so that a long answer is neither cut nor held back.

    OpenShift's router reads the timeout of a Route, and of an Ingress that it makes a Route from; it streams anyway.
    ingress-nginx collects an answer before it passes it on unless it is told not to, which would hide the first
    token. Of other controllers nothing is known here.
    """
    if expose.kind == "Route":
        return {_ROUTE_TIMEOUT: f"{seconds}s"}
    name = expose.class_name or ""
    if expose.kind == "Ingress" and "nginx" in name:
        return {
            f"{_NGINX}/proxy-read-timeout": str(seconds),
            f"{_NGINX}/proxy-send-timeout": str(seconds),
            f"{_NGINX}/proxy-buffering": "off",
        }
    if expose.kind == "Ingress" and "openshift" in name:
        return {_ROUTE_TIMEOUT: f"{seconds}s"}
    return {}
