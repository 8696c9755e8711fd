"""The categories on which a rule should fire, or should not, each with its rate and confidence interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.figure_rows import interval, percent, round_percent
from shieldx.reports.interval_bar import interval_bar
from shieldx.reports.tables import table

if TYPE_CHECKING:
    from shieldx.reports.category_scale import Scaled
    from shieldx.reports.elements import Element


def category_table(scaled: Scaled) -> Element:
    """A table with one row per category."""
    rows = [
        (
            each.category,
            f"{each.samples:,}",
            f"{each.fired:,}",
            percent(each.rate),
            interval(each.interval),
            interval_bar(each.rate, each.interval, target=scaled.target, top=scaled.top),
        )
        for each in scaled.categories
    ]
    rate = scaled.rate_name
    caption = (
        f"{rate.capitalize()} of samples on which the rule should{'' if scaled.positive else ' not'} fire; "
        f"dashed: the target, {round_percent(scaled.target)} {scaled.target_is}"
    )
    headings = ("category", "samples", "fired", rate, "95 % interval", f"0 to {round_percent(scaled.top)}")
    return table(caption, headings, rows, "positives" if scaled.positive else "negatives")
