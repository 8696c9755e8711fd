"""The ROC and precision-recall curves of a report, or the reason why it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.curve_chart import CurveChart, Point
from shieldx.reports.elements import Element, element
from shieldx.reports.figure_rows import AUC_MEANS, coefficient, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import Targets
    from shieldx.domains.shadow.report import Curves, Figures


def curve_section(figures: Figures, curves: Curves | None, targets: Targets) -> list[Element]:
    """Both curves side by side. For a yes/no rule each curve has a single point."""
    positives = figures.true_positives + figures.false_negatives
    negatives = figures.false_positives + figures.true_negatives
    if not positives or not negatives:
        kind = "positive" if not positives else "negative"
        return [element("p", {}, f"There are no curves: no sample is {kind}.")]
    charts = [
        _roc(figures, curves, targets),
        _precision_recall(figures, curves, targets, positives / (positives + negatives)),
    ]
    about = (
        "A scored rule has one point per threshold; the dot marks the threshold it uses."
        if curves is not None
        else "A yes/no rule is a single point; lines connect it to the rules that never fire and always fire."
    )
    legend = "Dashed: random guessing. Shaded: the region that meets the targets."
    return [
        element("div", {"class": "columns"}, *(_figure(chart) for chart in charts)),
        element("p", {"class": "muted"}, f"{about} {legend}"),
        *(_points(charts) if curves is not None else []),
    ]


def _roc(figures: Figures, curves: Curves | None, targets: Targets) -> CurveChart:
    point = (figures.false_positive_rate, figures.recall)
    return CurveChart(
        name="roc",
        title=f"ROC curve, {AUC_MEANS[figures.auc_roc_is]} {coefficient(figures.auc_roc)}",
        description=f"The rule has a false positive rate of {percent(point[0])} and a recall of {percent(point[1])}.",
        x_name="false positive rate",
        y_name="recall",
        line=curves.roc if curves is not None else ((0.0, 0.0), point, (1.0, 1.0)),
        point=point,
        chance=((0.0, 0.0), (1.0, 1.0)),
        goal=((0.0, targets.min_recall), (targets.max_false_positive_rate, 1.0)),
    )


def _precision_recall(figures: Figures, curves: Curves | None, targets: Targets, prevalence: float) -> CurveChart:
    point = (figures.recall, figures.precision)
    return CurveChart(
        name="precision-recall",
        title="Precision-recall curve",
        description=f"The rule has a recall of {percent(point[0])} and a precision of {percent(point[1])}.",
        x_name="recall",
        y_name="precision",
        line=curves.precision_recall if curves is not None else (),
        point=point,
        chance=((0.0, prevalence), (1.0, prevalence)),
        goal=((targets.min_recall, _least_precision(targets, prevalence)), (1.0, 1.0)),
    )


def _least_precision(targets: Targets, prevalence: float) -> float:
    """The precision of a rule that exactly meets both targets."""
    hits, alarms = targets.min_recall * prevalence, targets.max_false_positive_rate * (1 - prevalence)
    return hits / (hits + alarms) if hits + alarms else 0.0


def _figure(chart: CurveChart) -> Element:
    return element("figure", {}, chart.svg(), element("figcaption", {}, f"{chart.title}. {chart.description}"))


def _points(charts: Sequence[CurveChart]) -> list[Element]:
    """The points of the curves as tables, for readers who cannot see the charts."""
    return [
        element(
            "details",
            {},
            element("summary", {}, f"{chart.title}: its points"),
            element(
                "table",
                {},
                element("thead", {}, _row("th", (chart.x_name, chart.y_name))),
                element("tbody", {}, *(_row("td", _percents(point)) for point in chart.line)),
            ),
        )
        for chart in charts
    ]


def _row(cell: str, texts: tuple[str, str]) -> Element:
    scope = {"scope": "col"} if cell == "th" else {}
    return element("tr", {}, *(element(cell, {"class": "number"} | scope, text) for text in texts))


def _percents(point: Point) -> tuple[str, str]:
    return percent(point[0]), percent(point[1])
