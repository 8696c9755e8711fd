from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.growth.curve import HEIGHT, WIDTH, Chart, Series, nice_top

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart("A < B", "partitions", "commands/s", ["1", "2", "4"], [
    Series("one", [10.0, 20.0, 40.0]),
    Series("two", [None, 15.0, 30.0]),
])  # fmt: skip


def points(chart: Chart, number: int) -> list[tuple[float, float]]:
    picture = ET.fromstring(chart.svg())  # noqa: S314 - we wrote it ourselves
    return [
        (float(dot.get("cx", "")), float(dot.get("cy", "")))
        for dot in picture.iter(f"{SVG}circle")
        if dot.get("class") == f"c{number}"
    ]


def test_each_figure_is_a_point_and_higher_figures_are_higher() -> None:
    first = points(CHART, 0)
    assert [x for x, _ in first] == sorted(x for x, _ in first)
    assert [y for _, y in first] == sorted((y for _, y in first), reverse=True)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in first)


def test_missing_measurements_are_not_points() -> None:
    assert [x for x, _ in points(CHART, 1)] == [x for x, _ in points(CHART, 0)][1:]


def test_the_picture_names_its_axes_places_and_lines_and_has_colours_for_dark_pages() -> None:
    picture = ET.fromstring(CHART.svg())  # noqa: S314 - as above
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"A < B", "partitions", "commands/s", "1", "2", "4", "one", "two"} <= set(texts)
    assert "prefers-color-scheme: dark" in CHART.svg()


@pytest.mark.parametrize(
    ("highest", "top"), [(1, 1), (1.1, 1.5), (33_000, 40_000), (59_000, 75_000), (0.07, 0.075), (21, 25), (100, 100)]
)
def test_the_axis_ends_at_a_round_figure_above_all_others(highest: float, top: float) -> None:
    assert nice_top(highest) == pytest.approx(top)
