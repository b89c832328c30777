"""What is said of a model: it fits, it does not, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """Whether something fits."""

    FITS = "fits"
    DOES_NOT_FIT = "does-not-fit"
    UNKNOWN = "unknown"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a whole: it fits where every part does; what does not fit outweighs what is unknown."""
    found = set(verdicts)
    for verdict in (Verdict.DOES_NOT_FIT, Verdict.UNKNOWN):
        if verdict in found:
            return verdict
    return Verdict.FITS
