"""Kubernetes quantities and Go-style durations, as numbers.

Grammar of quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction

_SUFFIX: dict[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000 ** (power + 1)) for power, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}
_QUANTITY = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_quantity(text: str) -> Fraction:
    """The exact value of a non-negative Kubernetes quantity, in its base unit (cores, bytes).

    Raises:
        ValueError: `text` is no quantity; the message says what one looks like.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as 500m, 8 or 64Gi, got {text!r}")
    digits, exponent, suffix = match.groups()
    if exponent is not None:
        return Fraction(digits) * Fraction(10) ** int(exponent)
    return Fraction(digits) * _SUFFIX[suffix or ""]


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `50ms`, `2s` or `1m30s`.

    Raises:
        ValueError: `text` is no duration, or is zero.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"expected a duration such as 50ms, 2s or 1m30s, got {text!r}")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"expected a duration longer than zero, got {text!r}")
    return seconds
