from __future__ import annotations

import pytest

from bench.rounds import Rounds, rotated


@pytest.mark.parametrize(
    ("figures", "digits", "shown"),
    [
        ((1234.5,), 0, "1,234"),
        ((3.0, 1.0, 2.0), 1, "2.0 (1.0 to 3.0)"),
        ((10.0, 20.0), 0, "15 (10 to 20)"),
        ((5000.0, 90000.0, 7000.0), 0, "7,000 (5,000 to 90,000)"),
    ],
)
def test_rounds_are_shown_as_their_median_and_range(figures: tuple[float, ...], digits: int, shown: str) -> None:
    assert Rounds(figures).shown(digits) == shown


def test_over_as_many_rounds_as_contestants_each_comes_first_once() -> None:
    orders = [rotated(["a", "b", "c"], number) for number in range(3)]
    assert [order[0] for order in orders] == ["a", "b", "c"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert rotated(["a", "b", "c"], 3) == orders[0]
