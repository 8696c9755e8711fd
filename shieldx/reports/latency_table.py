"""How long a rule took per sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import duration
from shieldx.reports.tables import table

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import LatencyNs

BAR_PX = 180


def latency_table(latency: LatencyNs) -> Element:
    """Latency percentiles, on a scale up to the highest."""
    shares = {"median": latency.p50, "95th percentile": latency.p95, "99th percentile": latency.p99}
    longest = max(latency.p99, 1)
    rows = [(name, duration(figure), _length(figure / longest)) for name, figure in shares.items()]
    return table("Time per sample", ("share of samples", "at most", ""), rows)


def _length(share: float) -> Element:
    bar = element(
        "rect", {"class": "filled", "height": "10", "width": f"{max(BAR_PX * share, 1):.1f}", "y": "4", "rx": "2"}
    )
    return element("svg", {"class": "bar", "viewBox": f"0 0 {BAR_PX} 18", "aria-hidden": "true"}, bar)
