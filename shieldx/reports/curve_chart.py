"""A curve of one rate against another, in the unit square."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import round_percent

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH_PX, HEIGHT_PX = 420, 372
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 66, 24, 12, 48
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Point = tuple[float, float]


class CurveChart(NamedTuple):
    """A curve, the rule's point on it, and the line of a random classifier."""

    name: str
    """Prefix of the element ids; unique on the page."""
    title: str
    description: str
    x_name: str
    y_name: str
    line: Sequence[Point]
    point: Point
    chance: tuple[Point, Point]
    goal: tuple[Point, Point]
    """Opposite corners of the region in which the targets are met."""

    def svg(self) -> Element:
        """The chart as an SVG element."""
        ids = f"{self.name}-title {self.name}-description"
        (x1, y1), (x2, y2) = (_px(point) for point in self.chance)
        return element(
            "svg",
            {"viewBox": f"0 0 {WIDTH_PX} {HEIGHT_PX}", "role": "img", "aria-labelledby": ids},
            element("title", {"id": f"{self.name}-title"}, self.title),
            element("desc", {"id": f"{self.name}-description"}, self.description),
            *_axes(self.x_name, self.y_name),
            self._goal(),
            element("line", {"class": "chance"} | _ends(x1, y1, x2, y2)),
            element("polyline", {"class": "curve", "points": " ".join(_pair(point) for point in self.line)}),
            self._point(),
        )

    def _goal(self) -> Element:
        (x1, y1), (x2, y2) = (_px(point) for point in self.goal)
        corner = {"x": f"{min(x1, x2):.1f}", "y": f"{min(y1, y2):.1f}"}
        return element(
            "rect", {"class": "goal"} | corner | {"width": f"{abs(x2 - x1):.1f}", "height": f"{abs(y2 - y1):.1f}"}
        )

    def _point(self) -> Element:
        x, y = _px(self.point)
        return element("circle", {"class": "point", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "6"})


def _axes(x_name: str, y_name: str) -> list[Element]:
    parts = []
    for tick in TICKS:
        x, y = _px((tick, tick))
        label = round_percent(tick)
        parts += [
            element("line", {"class": "grid"} | _ends(LEFT_PX, y, WIDTH_PX - RIGHT_PX, y)),
            element("line", {"class": "grid"} | _ends(x, TOP_PX, x, HEIGHT_PX - BOTTOM_PX)),
            element("text", {"x": f"{LEFT_PX - 8}", "y": f"{y + 4:.1f}", "text-anchor": "end"}, label),
            element("text", {"x": f"{x:.1f}", "y": f"{HEIGHT_PX - BOTTOM_PX + 18}", "text-anchor": "middle"}, label),
        ]
    middle_x, middle_y = _px((0.5, 0.5))
    turned = f"rotate(-90 14 {middle_y:.1f})"
    return [
        *parts,
        element("text", {"x": f"{middle_x:.1f}", "y": f"{HEIGHT_PX - 8}", "text-anchor": "middle"}, x_name),
        element("text", {"x": "14", "y": f"{middle_y:.1f}", "text-anchor": "middle", "transform": turned}, y_name),
    ]


def _px(point: Point) -> Point:
    x, y = point
    return (
        LEFT_PX + (WIDTH_PX - LEFT_PX - RIGHT_PX) * x,
        HEIGHT_PX - BOTTOM_PX - (HEIGHT_PX - TOP_PX - BOTTOM_PX) * y,
    )


def _pair(point: Point) -> str:
    x, y = _px(point)
    return f"{x:.1f},{y:.1f}"


def _ends(x1: float, y1: float, x2: float, y2: float) -> dict[str, str]:
    return {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
