"""Recommendations for a rule, each with the samples that support it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.report import Recommendation


def recommendation_list(recommendations: Sequence[Recommendation]) -> Element:
    """The recommendations in their given order, most important first."""
    return element("ol", {}, *(_recommendation(each) for each in recommendations))


def _recommendation(each: Recommendation) -> Element:
    more = each.samples_total - len(each.samples)
    samples = element("div", {"class": "samples"}, *(element("code", {}, source) for source in each.samples))
    if more:
        samples.append(element("span", {"class": "muted"}, f"and {more:,} more"))
    return element("li", {}, each.advice, samples)
