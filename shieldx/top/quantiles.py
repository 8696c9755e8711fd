"""Quantiles of durations that are counted in buckets."""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from typing import TYPE_CHECKING

from shieldx.top.metrics_page import Durations

if TYPE_CHECKING:
    from collections.abc import Iterable


def together(parts: Iterable[Durations]) -> Durations:
    """The durations of several workers. Where their buckets differ, each counts in the next bound that it knows."""
    parts = [part for part in parts if part.counts]
    bounds = sorted({bound for part in parts for bound in part.counts})
    return Durations({bound: sum(_no_longer_than(part, bound) for part in parts) for bound in bounds})


def quantile_s(durations: Durations, share: float) -> float | None:
    """The duration that a share of all did not exceed, interpolated within its bucket; None if there is none.

    As in Prometheus, what lies beyond the last finite bound is given as that bound.
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
    raise ValueError(f"a share is from 0 to 1, not {share}")


def _no_longer_than(durations: Durations, bound_s: float) -> float:
    bounds = sorted(durations.counts)
    index = bisect_right(bounds, bound_s)
    return durations.counts[bounds[index - 1]] if index else 0.0
