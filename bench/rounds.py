"""Several rounds of one figure, with median and range."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")


class Rounds(NamedTuple):
    """The value of a figure in each round."""

    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value, or the mean of the two middle values."""
        return median(self.figures)

    def shown(self, digits: int = 0) -> str:
        """`median (lowest to highest)`, or the only value."""
        middle = f"{self.median:,.{digits}f}"
        if len(self.figures) == 1:
            return middle
        return f"{middle} ({min(self.figures):,.{digits}f} to {max(self.figures):,.{digits}f})"


def rotated(items: Sequence[Item], number: int) -> list[Item]:
    """The order of round `number`. Each item comes first once, because predecessors affect caches and memory."""
    shift = number % len(items)
    return [*items[shift:], *items[:shift]]
