"""What is wrong between a model's `autoscale` and the rest of models.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wtsctl.catalog.document import Defaults
from wtsctl.catalog.fault import Code, Fault, Path
from wtsctl.catalog.model import Model
from wtsctl.catalog.platform import Platform
from wtsctl.catalog.quantity import parse_duration
from wtsctl.catalog.workload import workload

# autoscaling/v2, HPAScalingRules.stabilizationWindowSeconds
_LONGEST_COOLDOWN = 3600


def scaling_faults(defaults: Defaults, platform: Platform, models: Iterable[tuple[int, Model]]) -> Iterator[Fault]:
    """Every fault of the models' `autoscale`."""
    for index, model in models:
        if model.autoscale is None:
            continue
        path: Path = ("models", index)
        scale = model.autoscale
        if scale.by == "keda" and platform.monitoring.prometheus is None:
            text = "no Prometheus to ask for waiting requests"
            hint = "set platform.monitoring.prometheus to its address, or autoscale.by to hpa"
            yield Fault(Code.MISSING, (*path, "autoscale"), text, hint)
        if "replicas" in model.model_fields_set:
            text = "has no effect with autoscale, which sets the number of pods"
            yield Fault(Code.NO_EFFECT, (*path, "replicas"), text, "leave it out", at_key=True)
        cooldown, started = parse_duration(scale.cooldown), workload(defaults, model).startup_seconds
        if cooldown > _LONGEST_COOLDOWN:
            text = f"expected at most 1h, which Kubernetes allows, got {scale.cooldown}"
            yield Fault(Code.VALUE, (*path, "autoscale", "cooldown"), text)
        elif scale.min == 0 and cooldown < started:
            # From no pods to the first answer nothing waits in the model, and callers may have given up.
            text = f"the last pod would be stopped after {scale.cooldown}, before it has loaded ({started:g}s)"
            hint = "make cooldown at least as long as startupTimeout, or min: 1"
            yield Fault(Code.VALUE, (*path, "autoscale", "cooldown"), text, hint)
