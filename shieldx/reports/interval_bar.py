"""A rate and its interval as a bar, hidden from screen readers because the figures are next to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Interval

WIDTH_PX, HEIGHT_PX, MARGIN_PX = 180, 18, 5
END_PX = 4


def interval_bar(rate: float, interval: Interval, *, target: float, top: float) -> Element:
    """The bar on a scale from 0 to `top`, with a dashed line at the target."""

    def x_px(share: float) -> str:
        return f"{MARGIN_PX + (WIDTH_PX - 2 * MARGIN_PX) * min(share / top, 1.0):.1f}"

    middle, lower, upper = f"{HEIGHT_PX / 2:g}", x_px(interval[0]), x_px(interval[1])
    track = {
        "x": f"{MARGIN_PX}",
        "y": f"{HEIGHT_PX / 2 - 0.5:g}",
        "height": "1",
        "width": f"{WIDTH_PX - 2 * MARGIN_PX}",
    }
    return element(
        "svg",
        {"class": "bar", "viewBox": f"0 0 {WIDTH_PX} {HEIGHT_PX}", "aria-hidden": "true"},
        element("rect", {"class": "track"} | track),
        _upright("target", x_px(target), 1),
        element("line", {"class": "whisker", "x1": lower, "x2": upper, "y1": middle, "y2": middle}),
        _upright("whisker", lower, HEIGHT_PX / 2 - END_PX),
        _upright("whisker", upper, HEIGHT_PX / 2 - END_PX),
        element("circle", {"class": "mark", "cx": x_px(rate), "cy": middle, "r": "4"}),
    )


def _upright(kind: str, x: str, y_px: float) -> Element:
    return element("line", {"class": kind, "x1": x, "x2": x, "y1": f"{y_px:g}", "y2": f"{HEIGHT_PX - y_px:g}"})
