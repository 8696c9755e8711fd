"""Reduces a line to the points that shape it most."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def thinned(x: Sequence[float], y: Sequence[float], max_points: int) -> list[int]:
    """The indices, in order, of at most `max_points` points of a line, including both ends.

    The point that forms the smallest triangle with its neighbours is removed first, the earlier of equal ones
    (Visvalingam and Whyatt 1993), so points on a straight line are removed before any corner. For integers the
    triangles are exact.

    Raises ValueError if `max_points` is less than two.
    """
    if max_points < 2:  # noqa: PLR2004 - a line has two ends
        raise ValueError(f"max_points is {max_points}: expected at least 2, the ends of the line")
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
            continue  # already removed, or pushed again because its neighbours changed
        del areas[index]
        left, right = before[index], after[index]
        after[left], before[right] = right, left
        for neighbour in (left, right):
            if neighbour in areas:
                areas[neighbour] = triangle(neighbour)
                heappush(smallest, (areas[neighbour], neighbour))
    return sorted({0, count - 1} | areas.keys()) if count else []
