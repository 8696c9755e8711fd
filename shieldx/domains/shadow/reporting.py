"""Computes the figures and recommendations of a report from judged samples."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from shieldx.domains.shadow.recommendations import recommendations_on
from shieldx.domains.shadow.report import Category, Comparison, Curves, Figures, LatencyNs, Timings
from shieldx.domains.shadow.statistics.association import chi_square
from shieldx.domains.shadow.statistics.curves import curves_of
from shieldx.domains.shadow.statistics.intervals import wilson
from shieldx.domains.shadow.statistics.paired import mcnemar
from shieldx.domains.shadow.statistics.posterior import confidence
from shieldx.domains.shadow.verdict import decision_on, risk_level_of
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.judged import JudgedEvaluation, RuleOutcomes
    from shieldx.domains.shadow.messages import Targets
    from shieldx.domains.shadow.statistics.confusion import Confusion
    from shieldx.domains.shadow.statistics.curves import ScoreCurves

MAX_CURVE_POINTS = 200
"""A curve in a report is drawn a few hundred pixels wide."""
MAX_CATEGORIES = 400
"""A set may have as many categories as samples. This many fit into a record even with the longest names."""


def findings(judged: JudgedEvaluation, targets: Targets, compared_with: tuple[int, str] | None) -> dict[str, Any]:
    """All fields of a report that follow from the samples alone.

    `compared_with` is the version and hash of the rule that was compared.
    """
    confusion, curves = judged.confusion(judged.said), _curves(judged, judged.said)
    categories = _categories(judged)
    sure = confidence(confusion, max_false_positive_rate=targets.max_false_positive_rate, min_recall=targets.min_recall)
    return msgspec.structs.asdict(_figures(confusion, curves)) | {
        "categories": _worst(categories),
        "categories_left_out": max(0, len(categories) - MAX_CATEGORIES),
        "curves": None if curves is None else _drawn_curves(curves),
        "confidence": sure,
        "risk_level": risk_level_of(confusion, targets.max_false_positive_rate),
        "decision": decision_on(confusion, sure),
        "recommendations": tuple(recommendations_on(judged, categories, targets)),
        "comparison": _comparison(judged, compared_with),
    }


def timings(requested_ms: int, reported_ms: int, latencies_ns: Sequence[int] = ()) -> Timings:
    """How long an evaluation took in stream time, and its rule per sample."""
    latency = None
    if latencies_ns:
        p50, p95, p99 = np.percentile(latencies_ns, (50, 95, 99), method="inverted_cdf")
        latency = LatencyNs(p50=int(p50), p95=int(p95), p99=int(p99))
    return Timings(
        requested_at=rfc3339(requested_ms),
        reported_at=rfc3339(reported_ms),
        execution_time_ms=reported_ms - requested_ms,
        rule_latency_ns=latency,
    )


def _figures(confusion: Confusion, curves: ScoreCurves | None) -> Figures:
    association = chi_square(confusion)
    return Figures(
        true_positives=confusion.tp,
        false_positives=confusion.fp,
        true_negatives=confusion.tn,
        false_negatives=confusion.fn,
        precision=confusion.precision,
        recall=confusion.recall,
        f1_score=confusion.f1,
        false_positive_rate=confusion.false_positive_rate,
        specificity=confusion.specificity,
        accuracy=confusion.accuracy,
        mcc=confusion.mcc,
        cohens_kappa=confusion.kappa,
        auc_roc=confusion.auc if curves is None else curves.auc,
        auc_roc_is="balanced_accuracy" if curves is None else "area_under_roc",
        chi_square=association.statistic,
        p_value=association.p_value,
        intervals={
            "precision": wilson(confusion.tp, confusion.predicted_positives),
            "recall": wilson(confusion.tp, confusion.positives),
            "false_positive_rate": wilson(confusion.fp, confusion.negatives),
            "specificity": wilson(confusion.tn, confusion.negatives),
        },
    )


def _curves(judged: JudgedEvaluation, said: RuleOutcomes) -> ScoreCurves | None:
    if said.scores is None:
        return None
    return curves_of(said.scores, judged.drawn.positive, max_points=MAX_CURVE_POINTS)


def _drawn_curves(curves: ScoreCurves) -> Curves:
    return Curves(
        roc=tuple((point.false_positive_rate, point.recall) for point in curves.roc),
        precision_recall=tuple((point.recall, point.precision) for point in curves.precision_recall),
    )


def _categories(judged: JudgedEvaluation) -> tuple[Category, ...]:
    drawn = judged.drawn
    rows = sorted(zip(drawn.categories, drawn.positive, judged.said.fired, strict=True))
    found = []
    for (category, positive), group in groupby(rows, key=lambda row: row[:2]):
        said = [fired for _, _, fired in group]
        found.append(
            Category(
                category=category,
                positive=positive,
                samples=len(said),
                fired=sum(said),
                rate=sum(said) / len(said),
                interval=wilson(sum(said), len(said)),
            )
        )
    return tuple(found)


def _worst(categories: Sequence[Category]) -> tuple[Category, ...]:
    """The categories with the most wrong decisions, in their order, if there are more than a report can contain."""
    if len(categories) <= MAX_CATEGORIES:
        return tuple(categories)
    wrong = [it.samples - it.fired if it.positive else it.fired for it in categories]
    worst = sorted(range(len(categories)), key=lambda place: (-wrong[place], place))[:MAX_CATEGORIES]
    return tuple(categories[place] for place in sorted(worst))


def _comparison(judged: JudgedEvaluation, compared_with: tuple[int, str] | None) -> Comparison | None:
    if compared_with is None or judged.compared is None:
        return None
    rows = list(zip(judged.drawn.positive, judged.said.fired, judged.compared.fired, strict=True))
    only_this = sum(1 for truth, this, other in rows if this == truth != other)
    only_other = sum(1 for truth, this, other in rows if other == truth != this)
    version, content = compared_with
    return Comparison(
        rule_version=version,
        rule_hash=content,
        figures=_figures(judged.confusion(judged.compared), _curves(judged, judged.compared)),
        only_this_right=only_this,
        only_other_right=only_other,
        p_value=mcnemar(only_this, only_other),
    )
