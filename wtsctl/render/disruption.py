"""How many pods of a server a drain of nodes may stop at once: one, of each model and of Llama Stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtsctl.catalog.entry import Mode
from wtsctl.catalog.model import Runtime
from wtsctl.catalog.workload import Workload
from wtsctl.render.job import Asked, Job, Stage
from wtsctl.render.pod import labels, selector

_TEMPLATE = "workload/poddisruptionbudget.yaml.j2"


def variables(name: str, namespace: str, found_by: dict[str, str]) -> dict[str, Any]:
    """Variables of a budget.

    Variables:
        budget.name: name of the PodDisruptionBudget: that of the server
        budget.namespace: its namespace
        budget.selector: the labels of the pods that it counts
    """
    return {"budget": {"name": name, "namespace": namespace, "selector": found_by}}


def jobs(asked: Asked) -> Iterator[Job]:
    """One budget for each server; every cluster knows the kind, so that `auto` is `on`."""
    catalog = asked.catalog
    if catalog.platform.pod_disruption_budgets is Mode.OFF:
        return
    for workload in asked.chosen:
        name = workload.object_name
        own = labels(catalog, workload.spec.runtime.value, name, "model")
        named = variables(name, workload.namespace, _pods(workload)) | {"labels": own}
        yield Job(_TEMPLATE, named, Stage.MODELS, workload.name, workload.path)
    if asked.stack and asked.stack.kind == "Deployment":
        name = asked.stack.service.name
        own = labels(catalog, "llama-stack", name, "llama-stack")
        named = variables(name, asked.stack.namespace, selector(name)) | {"labels": own}
        yield Job(_TEMPLATE, named, Stage.LLAMA_STACK, None, asked.stack.path)


def _pods(workload: Workload) -> dict[str, str]:
    if workload.spec.runtime is Runtime.KSERVE:
        # KServe's own: pkg/controller/v1beta1/inferenceservice/components/predictor.go.
        return {"app": f"isvc.{workload.object_name}-predictor"}
    return selector(workload.object_name)
