"""A series of figures as a row of bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """One bar per value, scaled from 0 to the largest."""
    largest = max(values, default=0)
    if largest <= 0:
        return BARS[0] * len(values)
    return "".join(BARS[min(int(value / largest * len(BARS)), len(BARS) - 1)] for value in values)
