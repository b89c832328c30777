"""Kubernetes quantities and Go-style durations, as numbers.

Grammar of quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_SUFFIX: dict[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{letter: Fraction(1000 ** (power + 1)) for power, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Fraction(1024 ** (power + 1)) for power, letter in enumerate("KMGTPE")},
}
QUANTITY_PATTERN = r"^\+?([0-9]{1,19}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:[eE]([+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)$"
DURATION_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h))+$"
_QUANTITY = re.compile(QUANTITY_PATTERN.strip("^$"))
_DURATION = re.compile(DURATION_PATTERN.strip("^$"))
_DURATION_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# Kubernetes keeps a quantity in 64 bits: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity
_LARGEST = 2**63 - 1
_LONGEST_SECONDS = 24 * 3600


# A catalog of many models repeats few amounts.
@lru_cache(maxsize=1024)
def parse_quantity(text: str) -> Fraction:
    """The exact value of a positive Kubernetes quantity, in its base unit (cores, bytes).

    Raises:
        ValueError: `text` is no quantity, zero, or too large; the message says what one looks like.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as 500m, 8 or 64Gi, got '{text}'")
    digits, exponent, suffix = match.groups()
    scale = _SUFFIX[suffix or ""] if exponent is None else Fraction(10) ** int(exponent)
    value = Fraction(digits) * scale
    if not 0 < value <= _LARGEST:
        raise ValueError(f"expected a quantity above zero and below 2^63, got '{text}'")
    return value


def parse_bytes(text: str) -> int:
    """Bytes of a quantity of memory or storage, such as `64Gi`.

    Raises:
        ValueError: `text` is no quantity, or no whole number of bytes (`512m` is half a byte, not 512 megabytes).
    """
    value = parse_quantity(text)
    if value.denominator != 1:
        meant = f"; did you mean {text[:-1]}Mi?" if text.endswith("m") else ""
        raise ValueError(f"expected a whole number of bytes, got '{text}', which is {float(value):g}{meant}")
    return value.numerator


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `50ms`, `2s` or `1m30s`.

    Raises:
        ValueError: `text` is no duration, is zero, or is longer than a day.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 50ms, 2s or 1m30s, got '{text}'")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError(f"expected a duration above zero and of at most 24h, got '{text}'")
    return seconds
