"""What an apply or a prune that did not come to its end means: the exit code, and what is and is not in the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wtsctl.cluster.apply import ApplyResult
    from wtsctl.cluster.prune import PruneResult
    from wtsctl.errors import ExitCode, Problem


def unfinished(applied: ApplyResult) -> tuple[ExitCode, list[Problem]]:
    """Why the apply stopped, and what is and is not in the cluster now."""
    from wtsctl.errors import ExitCode, Problem

    problems = [one.problem for one in applied.objects if one.problem]
    if applied.error is not None:
        problems += applied.error.problems
    problems += left(applied)
    if applied.interrupted:
        text = "interrupted while applying; what was applied stays, and a second deploy goes on from there"
        return ExitCode.INTERRUPTED, [Problem("interrupted", text), *problems]
    return ExitCode.CLUSTER, problems


def left(applied: ApplyResult) -> list[Problem]:
    """What was not applied, or may not have been."""
    from wtsctl.cluster.apply import Outcome
    from wtsctl.errors import Problem

    lefts = ((Outcome.UNKNOWN, "it may or may not have been applied"), (Outcome.NOT_APPLIED, "not applied"))
    found = {text: [one.manifest.identity for one in applied.objects if one.outcome is of] for of, text in lefts}
    return [Problem(f"deploy.{of.value}", f"{text}: {', '.join(found[text])}") for of, text in lefts if found[text]]


def unpruned(pruned: PruneResult) -> tuple[ExitCode, list[Problem]] | None:
    """Why not everything went that should; None where it did."""
    from wtsctl.cluster.apply import Outcome
    from wtsctl.errors import ExitCode, Problem

    everything = "everything was applied"
    failed = [one for one in pruned.objects if one.outcome is Outcome.FAILED]
    problems = [Problem("cluster.refused", one.note, one.identity) for one in failed]
    if pruned.interrupted:
        text = f"interrupted while pruning; {everything}, what was asked to go still goes, and a second deploy goes on"
        return ExitCode.INTERRUPTED, [Problem("interrupted", text), *problems]
    if pruned.error is not None:
        text = f"{everything}, and it cannot be known what of the rest is gone; a second deploy goes on from there"
        return pruned.error.exit_code, [*problems, *pruned.error.problems, Problem("deploy.not-pruned", text)]
    if pruned.slow:
        hint = "a finalizer or a pod that does not stop holds them; see `kubectl describe`"
        text = f"{everything}; deleted and still there: {', '.join(pruned.slow)}"
        problems.append(Problem("deploy.not-gone", text, hint=hint))
    return (ExitCode.CLUSTER if failed else ExitCode.NOT_READY, problems) if problems else None
