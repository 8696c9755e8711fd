"""Two versions of a rule on the same samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import figure_rows, p_value
from shieldx.reports.tables import table

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Comparison, Figures


def comparison_section(figures: Figures, comparison: Comparison) -> list[Element]:
    """The figures of both versions side by side."""
    pairs = zip(figure_rows(figures), figure_rows(comparison.figures), strict=True)
    rows = [(this.name, this.value, other.value) for this, other in pairs]
    counts = (
        f"{comparison.only_this_right:,} samples were judged correctly only by this rule, "
        f"{comparison.only_other_right:,} "
        f"only by version {comparison.rule_version}: McNemar's p {p_value(comparison.p_value)}."
    )
    caption = f"On the same samples. Version {comparison.rule_version} has hash {comparison.rule_hash}"
    return [
        element("p", {}, counts),
        table(caption, ("figure", "this rule", f"version {comparison.rule_version}"), rows),
    ]
