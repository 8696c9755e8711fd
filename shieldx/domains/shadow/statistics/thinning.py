"""Fewer points for a drawn line, those that shape it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def thinned(x: Sequence[float], y: Sequence[float], max_points: int) -> list[int]:
    """The indices, in order, of at most `max_points` points of a line; both its ends stay.

    The point that spans the smallest triangle with its neighbours goes first, the earlier of equal ones (Visvalingam
    and Whyatt 1993): what lies on a straight line goes before any corner does. Given integers, triangles are exact.

    Raises ValueError for less than two points.
    """
    if max_points < 2:  # noqa: PLR2004 - the two ends
        raise ValueError(f"max_points is {max_points}: a line needs its two ends at least")
    count = len(x)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))

    def triangle(index: int) -> float:
        left, right = before[index], after[index]
        return abs((x[index] - x[left]) * (y[right] - y[left]) - (x[right] - x[left]) * (y[index] - y[left]))

    areas = {index: triangle(index) for index in range(1, count - 1)}
    smallest = [(area, index) for index, area in areas.items()]
    heapify(smallest)
    while smallest and len(areas) > max_points - 2:
        area, index = heappop(smallest)
        if areas.get(index) != area:
            continue  # gone, or its neighbours changed since and it is in the heap again
        del areas[index]
        left, right = before[index], after[index]
        after[left], before[right] = right, left
        for neighbour in (left, right):
            if neighbour in areas:
                areas[neighbour] = triangle(neighbour)
                heappush(smallest, (areas[neighbour], neighbour))
    return sorted({0, count - 1} | areas.keys()) if count else []
