"""The confusion matrix: four counts, each shaded by its share of the samples with the same truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import percent

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Figures

WEAKEST, STRONGEST = 6, 42
"""Range of the colour strength of a cell, in percent: the text must be readable in light and dark mode."""


def confusion_table(figures: Figures) -> Element:
    """A table with one row per truth and one column per decision."""
    positives = figures.true_positives + figures.false_negatives
    negatives = figures.false_positives + figures.true_negatives
    return element(
        "table",
        {"class": "matrix"},
        element("caption", {}, "Samples by expected and actual decision"),
        element(
            "thead", {}, element("tr", {}, element("td"), *(_heading("col", name) for name in ("fired", "did not")))
        ),
        element(
            "tbody",
            {},
            _row(
                ("should fire", positives),
                (figures.true_positives, "right", "true positives"),
                (figures.false_negatives, "wrong", "false negatives"),
            ),
            _row(
                ("should not", negatives),
                (figures.false_positives, "wrong", "false positives"),
                (figures.true_negatives, "right", "true negatives"),
            ),
        ),
    )


def _row(truth: tuple[str, int], *cells: tuple[int, str, str]) -> Element:
    name, samples = truth
    return element("tr", {}, _heading("row", f"{name} ({samples:,})"), *(_cell(*cell, samples) for cell in cells))


def _cell(count: int, kind: str, name: str, samples: int) -> Element:
    share = count / samples if samples else 0.0
    strength = WEAKEST + (STRONGEST - WEAKEST) * share
    return element(
        "td",
        {"class": kind, "style": f"--strength: {strength:.0f}%"},
        element("span", {"class": "count"}, f"{count:,}"),
        f"{name}, {percent(share)}" if samples else name,
    )


def _heading(scope: str, name: str) -> Element:
    return element("th", {"scope": scope}, name)
