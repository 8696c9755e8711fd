"""Several rounds of one figure: its median and its range."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")


class Rounds(NamedTuple):
    """What a figure was in each round."""

    figures: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one, or the mean of the two in the middle."""
        return median(self.figures)

    def shown(self, digits: int = 0) -> str:
        """`median (lowest to highest)`, or the one figure there is."""
        middle = f"{self.median:,.{digits}f}"
        if len(self.figures) == 1:
            return middle
        return f"{middle} ({min(self.figures):,.{digits}f} to {max(self.figures):,.{digits}f})"


def rotated(items: Sequence[Item], number: int) -> list[Item]:
    """The order of round `number`: each comes first once, since what came before leaves a warm or a full machine."""
    shift = number % len(items)
    return [*items[shift:], *items[:shift]]
