from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldx.domains.shadow.statistics.thinning import thinned

lines = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40)


def triangle(left: tuple[int, int], middle: tuple[int, int], right: tuple[int, int]) -> int:
    """Twice its area, by the shoelace formula."""
    corners = (left, middle, right)
    return abs(sum(x * (corners[at - 2][1] - corners[at - 1][1]) for at, (x, _) in enumerate(corners)))


def test_points_on_a_straight_line_are_removed_first() -> None:
    x, y = [0, 0, 0, 1, 2, 3, 3, 6], [0, 2, 5, 6, 7, 8, 9, 9]

    assert thinned(x, y, 5) == [0, 2, 5, 6, 7]


def test_the_smallest_corner_goes_next() -> None:
    x, y = [0, 0, 5, 6, 9], [0, 5, 5, 6, 6]

    assert thinned(x, y, 4) == [0, 1, 2, 4]
    assert thinned(x, y, 3) == [0, 1, 4]


def test_two_points_are_the_ends() -> None:
    assert thinned([0, 0, 1], [0, 1, 1], 2) == [0, 2]


@pytest.mark.parametrize("points", [0, 1, 2])
def test_a_line_of_few_points_stays(points: int) -> None:
    assert thinned([0.5] * points, [1.0] * points, 2) == list(range(points))


@settings(deadline=None)
@given(lines, st.integers(2, 50))
def test_at_most_max_points_remain_in_order_with_both_ends(line: list[tuple[int, int]], max_points: int) -> None:
    kept = thinned([x for x, _ in line], [y for _, y in line], max_points)

    assert kept == sorted(set(kept))
    assert len(kept) == min(len(line), max_points)
    assert {0, len(line) - 1} <= set(kept) or not line


@settings(deadline=None)
@given(lines, st.integers(2, 20))
def test_it_is_the_search_for_the_smallest_triangle_over_and_over(line: list[tuple[int, int]], max_points: int) -> None:
    kept = list(range(len(line)))
    while len(kept) > max_points:
        areas = [triangle(*(line[index] for index in kept[at - 1 : at + 2])) for at in range(1, len(kept) - 1)]
        del kept[1 + areas.index(min(areas))]

    assert thinned([x for x, _ in line], [y for _, y in line], max_points) == kept


def test_less_than_two_points_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        thinned([0, 1], [0, 1], 1)
