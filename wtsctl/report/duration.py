"""Times for people: three digits and a unit, the same in every table."""

from __future__ import annotations

import math


def duration(seconds: float | None) -> str:
    """`0.42 ms`, `45.2 ms`, `412 ms`, `2.34 s`, `75.2 s`; `-` for None, `failed` for infinity."""
    if seconds is None:
        return "-"
    if math.isinf(seconds):
        return "failed"
    # 0.9996 s would round to 1000 ms.
    value, unit = (seconds * 1000, "ms") if seconds < 0.9995 else (seconds, "s")  # noqa: PLR2004
    return f"{value:.{_decimals(value)}f} {unit}"


def limit(seconds: float) -> str:
    """A limit as it was written: `50 ms`, `2 s`, `1.5 s`."""
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"


def _decimals(value: float) -> int:
    # Bounds a hair below the power of ten, where rounding would add a digit.
    if value < 9.995:  # noqa: PLR2004
        return 2
    return 1 if value < 99.95 else 0  # noqa: PLR2004
