"""A scored rule at other thresholds: its ROC and precision-recall curves, and the areas under them."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.statistics.thinning import thinned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PRETHINNED = 20
"""Thinning considers this many times `max_points` points, since thinning a hundred thousand takes seconds."""


class Point(msgspec.Struct, frozen=True, gc=False):
    """The rule that fires at `threshold` and above. If the threshold is None, it never fires.

    Rates without a denominator are 0, as everywhere, except that the precision of the rule that never fires is 1, where
    scikit-learn starts the precision-recall curve.
    """

    threshold: float | None
    false_positive_rate: float
    recall: float
    precision: float


class ScoreCurves(msgspec.Struct, frozen=True, gc=False):
    """Both curves of one set of scores, from the rule that never fires to the rule that always fires."""

    auc: float
    """The area under the ROC curve; 0.5, no better than chance, if there are no positives or no negatives."""
    average_precision: float
    """The mean precision, weighted by the recall gained at each threshold; 0 without positives."""
    roc: tuple[Point, ...]
    precision_recall: tuple[Point, ...]


def curves_of(scores: ArrayLike, truth: ArrayLike, *, max_points: int | None = None) -> ScoreCurves:
    """The curves of scores, one per sample; `truth` is true for positives (Fawcett 2006, algorithms 1 and 2).

    Equal scores share one point, which gives a slope and trapezoids: the AUC is the share of pairs of a positive and a
    negative in which the positive has the higher score, with ties counting half (Hanley and McNeil 1982). All counts
    are integers, so the order of samples does not affect even the last digit. The points are those of scikit-learn's
    `roc_curve(drop_intermediate=False)`, and of `precision_recall_curve` in reverse.

    With `max_points`, each curve keeps the points that shape it most; both areas are still computed from all points.

    Raises ValueError if lengths differ, a score is not finite, or `max_points` is less than 2.
    """
    thresholds, tp, fp = _counts(scores, truth)
    points = tuple(_points(thresholds, tp, fp))
    everything = Confusion(tp=tp[-1], fp=fp[-1])
    auc, average_precision = _auc(tp, fp, everything), _average_precision(tp, fp, everything)
    roc = precision_recall = points
    if max_points is not None:
        kept = _evenly(len(points), PRETHINNED * max_points)
        points = tuple(points[index] for index in kept)
        tp, fp = [tp[index] for index in kept], [fp[index] for index in kept]
        roc = tuple(points[index] for index in thinned(fp, tp, max_points))
        recalls, precisions = [point.recall for point in points], [point.precision for point in points]
        precision_recall = tuple(points[index] for index in thinned(recalls, precisions, max_points))
    return ScoreCurves(auc, average_precision, roc, precision_recall)


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` indices of `count` points, including the first and the last."""
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]


def _counts(scores: ArrayLike, truth: ArrayLike) -> tuple[list[float], list[int], list[int]]:
    """Each distinct score from the highest, and how many positives and negatives reach it; counts start at 0."""
    score, positive = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.bool_)
    if score.shape != positive.shape or score.ndim != 1:
        raise ValueError(
            f"scores have shape {score.shape} and truth has {positive.shape}: expected one of each per sample"
        )
    if not np.isfinite(score).all():
        raise ValueError("a score is infinite or not a number: expected finite scores")
    distinct, group = np.unique(-score, return_inverse=True)
    tp = np.bincount(group[positive], minlength=distinct.size).cumsum()
    fp = np.bincount(group[~positive], minlength=distinct.size).cumsum()
    thresholds = (0.0 - distinct).tolist()  # never -0.0, which is written differently from 0.0
    return thresholds, [0, *tp.tolist()], [0, *fp.tolist()]


def _points(thresholds: list[float], tp: list[int], fp: list[int]) -> list[Point]:
    points = [Point(None, 0.0, 0.0, 1.0)]
    for threshold, hits, alarms in zip(thresholds, tp[1:], fp[1:], strict=True):
        confusion = Confusion(tp=hits, fp=alarms, tn=fp[-1] - alarms, fn=tp[-1] - hits)
        points.append(Point(threshold, confusion.false_positive_rate, confusion.recall, confusion.precision))
    return points


def _auc(tp: list[int], fp: list[int], everything: Confusion) -> float:
    if not (everything.tp and everything.fp):
        return 0.5
    steps = zip(tp, tp[1:], fp, fp[1:], strict=False)
    doubled = sum((alarms - alarms_before) * (hits + hits_before) for hits_before, hits, alarms_before, alarms in steps)
    return doubled / (2 * everything.tp * everything.fp)


def _average_precision(tp: list[int], fp: list[int], everything: Confusion) -> float:
    if not everything.tp:
        return 0.0
    steps = zip(tp, tp[1:], fp[1:], strict=False)
    # Not sum(), which rounds differently from Python 3.12 on: repeated reports would differ in the last digit.
    return fsum((hits - hits_before) * hits / (hits + alarms) for hits_before, hits, alarms in steps) / everything.tp
