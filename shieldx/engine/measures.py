"""What a page in `agents/` has measured of its outputs, for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, kw_only=True)
class Count:
    """A Prometheus counter over what an agent has committed to one topic."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    topic: str
    of: Callable[[Any], Iterable[tuple[str, ...]]]
    """The label values to count for one output."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A Prometheus gauge: what the last output that an agent has committed to one topic says."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    topic: str
    of: Callable[[Any], tuple[tuple[str, ...], float]]
    """The label values and the figure of an output."""
