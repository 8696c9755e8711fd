"""Quantiles of durations counted in buckets."""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from typing import TYPE_CHECKING

from shieldx.top.metrics_page import Durations

if TYPE_CHECKING:
    from collections.abc import Iterable


def together(parts: Iterable[Durations]) -> Durations:
    """The durations of several workers. If their buckets differ, each counts towards its next known bound."""
    parts = [part for part in parts if part.counts]
    bounds = sorted({bound for part in parts for bound in part.counts})
    return Durations({bound: sum(_no_longer_than(part, bound) for part in parts) for bound in bounds})


def quantile_s(durations: Durations, share: float) -> float | None:
    """The duration that the given share of all does not exceed, interpolated within its bucket; None if empty.

    As in Prometheus, a value above the last finite bound is reported as that bound.
    """
    bounds = sorted(durations.counts)
    if not bounds or not durations.counts[bounds[-1]]:
        return None
    rank = share * durations.counts[bounds[-1]]
    lower_s, below = 0.0, 0.0
    for bound_s in bounds:
        count = durations.counts[bound_s]
        if count >= rank and count > below:
            return (
                lower_s if bound_s == inf else lower_s + (bound_s - lower_s) * max(0.0, rank - below) / (count - below)
            )
        lower_s, below = bound_s, count
    raise ValueError(f"expected a share from 0 to 1, got {share}")


def _no_longer_than(durations: Durations, bound_s: float) -> float:
    bounds = sorted(durations.counts)
    index = bisect_right(bounds, bound_s)
    return durations.counts[bounds[index - 1]] if index else 0.0
