"""Prometheus metrics of an agent's outputs, as a page in `agents/` declares them."""

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
    """A Prometheus gauge with the figure of the last output that an agent has committed to one topic."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    topic: str
    of: Callable[[Any], tuple[tuple[str, ...], float] | None]
    """The label values and the figure of an output, or None if it has no figure."""
    every: bool = False
    """Whether to look at every output of a transaction rather than only the last; for outputs with different labels."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """A Prometheus histogram over what an agent has committed to one topic."""

    name: str
    documentation: str
    topic: str
    of: Callable[[Any], float | None]
    """The figure of an output, or None if it has none."""
    buckets: tuple[float, ...]
