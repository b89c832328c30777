"""Does one model fit the GPUs it asks for: the verdict, the reason, and what would help."""

from __future__ import annotations

from dataclasses import dataclass

from wtsctl.plan.fit import Fit, Serving, fit, indivisible
from wtsctl.plan.gpus import GIB, Gpu
from wtsctl.plan.remedies import Remedy, for_memory
from wtsctl.plan.serving import Served, Unknown
from wtsctl.plan.verdict import Verdict


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """How a model stands on its GPUs.

    Attributes:
        verdict: whether one replica would start.
        gpu: the kind of GPU that this holds for; None: nobody says which one it runs on.
        serving: how it is served; None where that is not known.
        fit: the bytes on one GPU; None where the model or the GPU is not known.
        required: bytes that a GPU has to offer; None where the model is not known.
        reason: why it does not fit, or why nobody can tell; empty where it fits.
        hint: what would let wtsctl tell.
        notes: what is not counted.
        remedies: changes with which it would fit, each alone, the smallest first.
    """

    verdict: Verdict
    gpu: Gpu | None
    serving: Serving | None
    fit: Fit | None = None
    required: int | None = None
    reason: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @property
    def longest_context(self) -> int | None:
        """Longest context that fits and that the model was made for, in tokens; None where it is not known."""
        if self.fit is None or self.serving is None:
            return None
        return min(self.fit.longest, self.serving.shape.max_position)


def assess(served: Served, gpu: Gpu | None, *, pipelines: bool, node_gpus: int | None = None) -> MemoryFit:
    """Whether a model fits GPUs of one kind.

    Args:
        served: from `serving.served`.
        gpu: the kind; None: nobody says.
        pipelines: whether the runtime can spread a model over several nodes.
        node_gpus: GPUs of the largest node, which no tensor parallel group can exceed; None: not known.
    """
    serving = served.serving
    if isinstance(serving, Unknown):
        return MemoryFit(Verdict.UNKNOWN, gpu, None, reason=serving.reason, hint=serving.hint, notes=served.notes)
    usable = gpu.usable if gpu else None
    required = _required(serving)
    uneven = indivisible(serving)
    if uneven:
        remedies = for_memory(serving, gpu, pipelines=pipelines, node_gpus=node_gpus) if gpu and usable else ()
        return MemoryFit(
            Verdict.DOES_NOT_FIT, gpu, serving, required=required, reason=uneven, notes=served.notes, remedies=remedies
        )
    if gpu is None or usable is None:
        reason = f"the memory of its GPU is not known: {gpu.source}" if gpu else "nothing says which GPU it runs on"
        hint = f"one with {required / GIB:.1f} GiB for one process would do"
        return MemoryFit(Verdict.UNKNOWN, gpu, serving, required=required, reason=reason, hint=hint, notes=served.notes)
    stood = fit(serving, usable)
    if stood.fits:
        return MemoryFit(Verdict.FITS, gpu, serving, stood, required, notes=served.notes)
    if serving.upper_bound and stood.room > 0:
        reason = "its KV cache takes less than is computed here, and by how much is not known"
        return MemoryFit(Verdict.UNKNOWN, gpu, serving, stood, required, reason, notes=served.notes)
    return MemoryFit(
        Verdict.DOES_NOT_FIT,
        gpu,
        serving,
        stood,
        required,
        _reason(serving, stood),
        notes=served.notes,
        remedies=for_memory(serving, gpu, pipelines=pipelines, node_gpus=node_gpus),
    )


def _required(serving: Serving) -> int:
    """Usable bytes of the smallest GPU on which one sequence of the allowed length fits."""
    # What is taken does not depend on the GPU: on one without memory, the room is short by just that.
    stood = fit(serving, 0)
    return round((stood.needed - stood.room) / serving.utilization)


def _reason(serving: Serving, stood: Fit) -> str:
    share = f"{stood.budget / GIB:.1f} GiB ({serving.utilization:g} of {stood.gpu / GIB:.1f})"
    if stood.room <= 0:
        taken = f"weights and overhead take {(stood.weights + stood.overhead) / GIB:.1f} GiB of each GPU"
        return f"{taken}, and the server may use {share}"
    return (
        f"a context of {serving.max_model_len:,} tokens takes {stood.needed / GIB:.2f} GiB of KV cache on each GPU, "
        f"and there is room for {stood.room / GIB:.2f} GiB: {stood.longest:,} tokens"
    )
