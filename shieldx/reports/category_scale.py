"""Sample categories, split by whether the rule should fire, and the scale on which their rates are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.report import Category, Report

TOPS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Possible upper ends of a scale. A false positive rate of 1 % would be invisible on a scale up to 100 %."""


class Scaled(NamedTuple):
    """Categories that share a scale from 0 to `top`. `target_is` says whether `target` is a minimum or a maximum."""

    rate_name: str
    positive: bool
    categories: Sequence[Category]
    target: float
    target_is: str
    top: float


def scaled_categories(report: Report) -> list[Scaled]:
    """The categories on which the rule should fire, and those on which it should not, if they have samples."""
    positives = [each for each in report.categories if each.positive]
    negatives = [each for each in report.categories if not each.positive]
    found = []
    if positives:
        found.append(Scaled("recall", True, positives, report.targets.min_recall, "at least", 1.0))
    if negatives:
        target = report.targets.max_false_positive_rate
        highest = max(target, *(each.interval[1] for each in negatives))
        top = next(top for top in TOPS if top >= min(highest, 1.0))
        found.append(Scaled("false positive rate", False, negatives, target, "at most", top))
    return found


def left_out(report: Report) -> str:
    """The note that a report does not show all categories."""
    return f"{report.categories_left_out:,} more categories with fewer wrong decisions are not shown."
