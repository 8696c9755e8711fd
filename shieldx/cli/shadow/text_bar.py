"""A rate and its interval as a bar of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Interval

WIDTH = 17
"""Together with its figures the bar fits a terminal of 80 columns."""


def text_bar(rate: float, interval: Interval, *, top: float) -> str:
    """The bar on a scale from 0 to `top`, such as `···├──●─┤···`. The rate hides an end at the same position."""
    lower, upper, middle = (_place(share / top) for share in (*interval, rate))
    return "".join(_mark(place, lower, upper, middle) for place in range(WIDTH))


def _place(share: float) -> int:
    return round(min(share, 1.0) * (WIDTH - 1))


def _mark(place: int, lower: int, upper: int, middle: int) -> str:
    if place == middle:
        return "●"
    if place == lower:
        return "├"
    if place == upper:
        return "┤"
    return "─" if lower < place < upper else "·"
