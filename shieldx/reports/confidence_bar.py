"""The confidence of a report compared with the thresholds for a canary and a full deployment."""

from __future__ import annotations

from shieldx.domains.shadow.verdict import CANARY_CONFIDENCE, FULL_DEPLOYMENT_CONFIDENCE
from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import percent, round_percent

WIDTH_PX, HEIGHT_PX, BAR_PX, MARGIN_PX = 360, 62, 14, 4
BAR_TOP_PX = 22
STEPS = {CANARY_CONFIDENCE: "canary", FULL_DEPLOYMENT_CONFIDENCE: "full deployment"}


def confidence_bar(confidence: float) -> Element:
    """A bar from 0 to 100 % with a tick at each threshold."""
    length_px = WIDTH_PX - 2 * MARGIN_PX
    bar = {"x": f"{MARGIN_PX}", "y": f"{BAR_TOP_PX}", "height": f"{BAR_PX}", "rx": "3"}
    needs = ", ".join(f"{round_percent(share)} for a {name}" for share, name in STEPS.items())
    return element(
        "svg",
        {"viewBox": f"0 0 {WIDTH_PX} {HEIGHT_PX}", "role": "img", "aria-labelledby": "confidence-title"},
        element("title", {"id": "confidence-title"}, f"Confidence {percent(confidence)}; required: {needs}"),
        element("text", {"class": "strong", "x": f"{MARGIN_PX}", "y": "14"}, f"confidence {percent(confidence)}"),
        element("rect", {"class": "track", "width": f"{length_px}"} | bar),
        element("rect", {"class": "filled", "width": f"{length_px * confidence:.1f}"} | bar),
        *(part for share, name in STEPS.items() for part in _step(MARGIN_PX + length_px * share, share, name)),
    )


def _step(x_px: float, share: float, name: str) -> list[Element]:
    x, bottom_px = f"{x_px:.1f}", BAR_TOP_PX + BAR_PX
    anchor = "end" if share < FULL_DEPLOYMENT_CONFIDENCE else "middle"
    return [
        element("line", {"class": "tick", "x1": x, "x2": x, "y1": f"{BAR_TOP_PX - 3}", "y2": f"{bottom_px + 3}"}),
        element(
            "text",
            {"x": x, "y": f"{bottom_px + 18}", "text-anchor": anchor},
            f"{round_percent(share)} {name}",
        ),
    ]
