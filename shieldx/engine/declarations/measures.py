"""What a page in `agents/` has measured of its outputs, for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A Prometheus counter over what an agent has committed to one topic."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    topic: str
    of: Callable[[Any], Iterable[tuple[str, ...]]]
    """The label values to count for one output."""


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A Prometheus gauge: what the last output that an agent has committed to one topic says."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    topic: str
    of: Callable[[Any], tuple[tuple[str, ...], float] | None]
    """The label values and the figure of an output, or None if it has no figure."""
    every: bool = False
    """Whether each output of a transaction is looked at, where the label values differ, rather than the last alone."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """A Prometheus histogram over what an agent has committed to one topic."""

    name: str
    documentation: str
    topic: str
    of: Callable[[Any], float | None]
    """The figure of an output, or None if it has none."""
    buckets: tuple[float, ...]
