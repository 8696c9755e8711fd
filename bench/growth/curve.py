"""A line chart as SVG, for light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 84, 200, 48, 56
TICKS = 5
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .c0 { stroke: #0969da; fill: #0969da; } .c1 { stroke: #bc4c00; fill: #bc4c00; }
  .c2 { stroke: #1a7f37; fill: #1a7f37; }
  path.line { fill: none; } text.c0, text.c1, text.c2 { stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .grid { stroke: #3d444d; }
    .c0 { stroke: #4493f8; fill: #4493f8; } .c1 { stroke: #f0883e; fill: #f0883e; }
    .c2 { stroke: #3fb950; fill: #3fb950; }
  }
"""


class Series(NamedTuple):
    """A line: one figure for each place on the x axis, or None if nothing was measured there."""

    name: str
    figures: Sequence[float | None]


class Chart(NamedTuple):
    """Lines over named places at equal distances."""

    title: str
    x_name: str
    y_name: str
    places: Sequence[str]
    series: Sequence[Series]

    def svg(self) -> str:
        """The chart as SVG."""
        top = nice_top(
            max((figure for line in self.series for figure in line.figures if figure is not None), default=1)
        )
        view = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view}><style>{STYLE}</style>',
            f'<text class="title" x="{LEFT}" y="24">{escape(self.title)}</text>',
            *self._axes(top),
            *(part for number, line in enumerate(self.series) for part in self._line(number, line, top)),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _x(self, place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(self.places)

    def _axes(self, top: float) -> list[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = []
        for tick in range(TICKS + 1):
            y = _y(top * tick / TICKS, top)
            parts += [
                f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
                f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top * tick / TICKS:,.6g}</text>',
            ]
        parts += [
            f'<text x="{self._x(place):.1f}" y="{bottom + 20}" text-anchor="middle">{escape(name)}</text>'
            for place, name in enumerate(self.places)
        ]
        middle, y = (LEFT + right) / 2, (TOP + bottom) / 2
        turned = f'text-anchor="middle" transform="rotate(-90 18 {y:.0f})"'
        return [
            *parts,
            f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(self.x_name)}</text>',
            f'<text x="18" y="{y:.0f}" {turned}>{escape(self.y_name)}</text>',
        ]

    def _line(self, number: int, line: Series, top: float) -> list[str]:
        points = [(self._x(place), _y(figure, top)) for place, figure in enumerate(line.figures) if figure is not None]
        if not points:
            return []
        path = " ".join(f"{'L' if at else 'M'}{x:.1f},{y:.1f}" for at, (x, y) in enumerate(points))
        legend_y = TOP + 12 + 22 * number
        return [
            f'<path class="line c{number}" d="{path}"/>',
            *(f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points),
            f'<text class="c{number}" x="{WIDTH - RIGHT + 14}" y="{legend_y}">{escape(line.name)}</text>',
        ]


def nice_top(highest: float) -> float:
    """The smallest of some steps times a power of ten that is not below `highest`; a fifth of it is round too."""
    power = 1.0
    while power > highest:
        power /= 10
    while power * 10 <= highest:
        power *= 10
    return next(step * power for step in (1, 1.5, 2, 2.5, 4, 5, 7.5, 10) if step * power >= highest)


def _y(figure: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * figure / top
