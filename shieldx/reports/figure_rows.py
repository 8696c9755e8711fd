"""A report's figures for display: names, values and intervals as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.shadow.report import Figures

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import AucRocIs, Interval, Report

LEAST_P_VALUE = 0.0001
AUC_MEANS: dict[AucRocIs, str] = {
    "area_under_roc": "AUC-ROC",
    "balanced_accuracy": "AUC-ROC (balanced accuracy)",
}
RATES = {
    "precision": "precision",
    "recall": "recall",
    "f1_score": "F1",
    "false_positive_rate": "false positive rate",
    "specificity": "specificity",
    "accuracy": "accuracy",
}
COEFFICIENTS = {"mcc": "MCC", "cohens_kappa": "Cohen's kappa"}

NS_A_MS = 1_000_000


class FigureRow(NamedTuple):
    """One figure. `interval` is its 95 % interval, if it has one."""

    name: str
    value: str
    interval: str | None


def figures_of(report: Report) -> Figures | None:
    """The figures of a completed evaluation, which are fields of the report itself."""
    if report.true_positives is None:
        return None
    return Figures(**{name: getattr(report, name) for name in Figures.__struct_fields__})


def figure_rows(figures: Figures) -> list[FigureRow]:
    """All figures derived from the confusion matrix, without its counts."""
    rows = []
    for field, name in RATES.items():
        between = figures.intervals.get(field)
        rows.append(FigureRow(name, percent(getattr(figures, field)), None if between is None else interval(between)))
    rows += [FigureRow(name, coefficient(getattr(figures, field)), None) for field, name in COEFFICIENTS.items()]
    return [
        *rows,
        FigureRow(AUC_MEANS[figures.auc_roc_is], coefficient(figures.auc_roc), None),
        FigureRow("chi-square", f"{figures.chi_square:,.2f}, p {p_value(figures.p_value)}", None),
    ]


def percent(share: float) -> str:
    """A share as a percentage. A share close to 0 or 1 is never rounded to 0 or 100 %."""
    shown = f"{100 * share:.2f}"
    if shown == "0.00" and share > 0:
        return "< 0.01 %"
    if shown == "100.00" and share < 1:
        return "> 99.99 %"
    return f"{shown} %"


def round_percent(share: float) -> str:
    """A share that was chosen by a person, such as a target, without trailing digits."""
    return f"{100 * share:.6g} %"


def interval(between: Interval) -> str:
    """Both ends as percentages."""
    return f"{100 * between[0]:.2f} – {percent(between[1])}"  # noqa: RUF001 - an en dash separates the ends of a range


def coefficient(value: float) -> str:
    """A figure that is not a share."""
    return f"{value:.4f}"


def p_value(value: float) -> str:
    """A p-value. Very small ones are shown as an upper bound."""
    return f"< {LEAST_P_VALUE:.4f}" if value < LEAST_P_VALUE else f"= {value:.4f}"


def duration(duration_ns: int) -> str:
    """A duration given in nanoseconds, shown in microseconds or, from one millisecond, in milliseconds."""
    if duration_ns < NS_A_MS:
        return f"{duration_ns / 1000:,.1f} µs"
    return f"{duration_ns / NS_A_MS:,.1f} ms"
