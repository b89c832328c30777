"""What `status` says: a row a model, then only what is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtsctl.errors import NotReadyError, Problem
from wtsctl.report.models import model_data, show_findings, show_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wtsctl.cluster.observe import Evidence
    from wtsctl.health.model import ModelHealth
    from wtsctl.report.terminal import Terminal


def status_data(
    healths: Sequence[ModelHealth], endpoints: Mapping[str, str], evidence: Mapping[str, Evidence]
) -> dict[str, Any]:
    """The `data` of `status -o json`."""
    return {
        "ready": sum(one.ready for one in healths),
        "total": len(healths),
        "models": [model_data(one, endpoints[one.subject.name], evidence.get(one.subject.name)) for one in healths],
    }


def show_status(
    terminal: Terminal,
    healths: Sequence[ModelHealth],
    endpoints: Mapping[str, str],
    evidence: Mapping[str, Evidence],
) -> None:
    """Write the table and the findings on stdout."""
    show_models(terminal, healths, endpoints)
    show_findings(terminal, healths, evidence)


def not_ready(healths: Sequence[ModelHealth]) -> tuple[Problem, ...]:
    """The problem of models that are not ready; their causes stand in the findings and in `data`."""
    names = [f"{one.subject.name} ({one.shown})" for one in healths if not one.ready]
    if not names:
        return ()
    return (Problem(NotReadyError.code, f"{len(names)} of {len(healths)} not ready: {', '.join(names)}"),)
