"""What Llama Stack's operator says of a LlamaStackDistribution; the pods decide whether it serves.

Status: llama-stack-k8s-operator 0.9, api/v1alpha1/llamastackdistribution_types.go.
"""

from __future__ import annotations

from wtsctl.health.state import Health, Object, State, conditions, terminating


def llama_stack_distribution(item: Object) -> Health:
    """Failed where the operator says so, Current by its word, to be checked; otherwise on its way."""
    if terminating(item):
        return Health(State.TERMINATING)
    phase = str((item.get("status") or {}).get("phase") or "")
    bad = [
        str(one.get("message") or one.get("reason") or kind)
        for kind, one in conditions(item).items()
        if one.get("status") == "False"
    ]
    if phase == "Failed":
        return Health(State.FAILED, "OperatorFailed", "; ".join(bad) or "Llama Stack's operator says that it failed")
    if phase == "Ready":
        return Health(State.CURRENT)
    text = "; ".join(bad) or "Llama Stack's operator has not said anything about it; does it run?"
    return Health(State.IN_PROGRESS, phase or "NotReconciled", text)
