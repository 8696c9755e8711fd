from __future__ import annotations

import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.statistics.curves import PRETHINNED, ScoreCurves, curves_of

if TYPE_CHECKING:
    from random import Random

pytestmark = pytest.mark.filterwarnings("error")

VECTORS = 500
scored = st.lists(st.tuples(st.integers(0, 8).map(lambda eighths: eighths / 8), st.booleans()), max_size=60)


def score_vectors() -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores with many, few or no ties, with both classes in all proportions."""
    generator = np.random.default_rng(11)
    vectors = []
    for _ in range(VECTORS):
        samples, distinct = generator.integers(2, 400), generator.choice([1, 2, 3, 10, 100, 10**6])
        truth = generator.random(samples) < generator.uniform(0.02, 0.98)
        truth[:2] = [True, False]
        scores = np.round(generator.normal(size=samples) + truth, 3) if distinct == 100 else truth * 0.25
        vectors.append((scores + generator.integers(0, distinct, samples) / 4, truth))
    return vectors


def test_areas_and_points_are_those_of_scikit_learn() -> None:
    for scores, truth in score_vectors():
        curves = curves_of(scores, truth)
        fpr, tpr, roc_thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
        precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)

        assert curves.auc == pytest.approx(metrics.roc_auc_score(truth, scores), rel=1e-12)
        assert curves.average_precision == pytest.approx(metrics.average_precision_score(truth, scores), rel=1e-12)
        roc = [(point.false_positive_rate, point.recall) for point in curves.roc]
        np.testing.assert_allclose(roc, np.transpose([fpr, tpr]), rtol=1e-12, atol=0)
        assert [point.threshold for point in curves.roc] == [None, *roc_thresholds[1:]]
        drawn = [(point.recall, point.precision) for point in curves.precision_recall]
        np.testing.assert_allclose(drawn, np.transpose([recall, precision])[::-1], rtol=1e-12, atol=0)
        assert [point.threshold for point in curves.precision_recall] == [None, *thresholds[::-1]]


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    for scores, truth in score_vectors()[:100]:
        won = stats.mannwhitneyu(scores[truth], scores[~truth], method="asymptotic").statistic

        assert curves_of(scores, truth).auc == pytest.approx(won / (truth.sum() * (~truth).sum()), rel=1e-12)


def test_the_average_precision_is_rounded_as_one_sum() -> None:
    for scores, truth in score_vectors():
        curves, terms, found = curves_of(scores, truth), [], 0
        for point in curves.roc[1:]:
            tp, fp = int((scores[truth] >= point.threshold).sum()), int((scores[~truth] >= point.threshold).sum())
            terms.append(Fraction((tp - found) * tp / (tp + fp)))
            found = tp
        assert curves.average_precision == float(sum(terms)) / found


def test_thinned_curves_keep_areas_ends_and_shape() -> None:
    for scores, truth in score_vectors():
        whole, thin = curves_of(scores, truth), curves_of(scores, truth, max_points=40)

        assert (thin.auc, thin.average_precision) == (whole.auc, whole.average_precision)
        for drawn, full in ((thin.roc, whole.roc), (thin.precision_recall, whole.precision_recall)):
            assert len(drawn) == min(40, len(full))
            assert (drawn[0], drawn[-1]) == (full[0], full[-1])
            assert set(drawn) <= set(full)
        below = np.trapezoid([point.recall for point in thin.roc], [point.false_positive_rate for point in thin.roc])
        assert below == pytest.approx(whole.auc, abs=0.005)


def test_of_a_long_curve_some_points_spread_evenly_are_looked_at() -> None:
    generator = np.random.default_rng(5)
    truth = generator.random(100_000) < 0.3
    scores = generator.normal(size=100_000) + truth
    whole, thin = curves_of(scores, truth), curves_of(scores, truth, max_points=40)

    last, looked_at = len(whole.roc) - 1, PRETHINNED * 40
    for drawn, full in ((thin.roc, whole.roc), (thin.precision_recall, whole.precision_recall)):
        assert len(drawn) == 40
        assert (drawn[0], drawn[-1]) == (full[0], full[-1])
        assert set(drawn) <= {full[place * last // (looked_at - 1)] for place in range(looked_at)}
    assert (thin.auc, thin.average_precision) == (whole.auc, whole.average_precision)
    below = np.trapezoid([point.recall for point in thin.roc], [point.false_positive_rate for point in thin.roc])
    assert below == pytest.approx(whole.auc, abs=0.005)


def test_dropping_collinear_points_keeps_the_area() -> None:
    scores, truth = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [True, True, True, False, False, False]

    thin = curves_of(scores, truth, max_points=3)

    assert [(point.false_positive_rate, point.recall) for point in thin.roc] == [(0, 0), (0, 1), (1, 1)]
    assert thin.auc == 1.0


@pytest.mark.parametrize(
    "confusion",
    [Confusion(6, 1, 3, 2), Confusion(0, 0, 5, 5), Confusion(5, 5, 0, 0), Confusion(0, 3, 0, 4), Confusion(3, 0, 4, 0)],
)
def test_the_area_of_a_yes_no_rule_is_its_balanced_accuracy(confusion: Confusion) -> None:
    decisions = np.repeat([1.0, 1.0, 0.0, 0.0], msgspec.structs.astuple(confusion))
    truth = np.repeat([True, False, False, True], msgspec.structs.astuple(confusion))

    assert curves_of(decisions, truth).auc == confusion.auc == confusion.balanced_accuracy


@pytest.mark.parametrize(
    ("truth", "average_precision", "last"),
    [
        ([], 0.0, (None, 0.0, 0.0, 1.0)),
        ([False, False], 0.0, (0.25, 1.0, 0.0, 0.0)),
        ([True, True], 1.0, (0.25, 0.0, 1.0, 1.0)),
    ],
)
def test_one_class_alone_has_stated_values(
    truth: list[bool], average_precision: float, last: tuple[float | None, ...]
) -> None:
    curves = curves_of([0.5, 0.25][: len(truth)], truth)

    assert (curves.auc, curves.average_precision) == (0.5, average_precision)
    assert msgspec.structs.astuple(curves.roc[0]) == (None, 0.0, 0.0, 1.0)
    assert msgspec.structs.astuple(curves.roc[-1]) == last
    assert curves.precision_recall == curves.roc


def test_average_precision_without_positives_is_that_of_scikit_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class without samples
        expected = metrics.average_precision_score([False, False], [0.5, 0.25])

    assert curves_of([0.5, 0.25], [False, False]).average_precision == expected


@settings(deadline=None)
@given(scored, st.randoms(use_true_random=False), st.sampled_from([None, 4]))
def test_the_order_of_samples_makes_no_difference_to_any_byte(
    samples: list[tuple[float, bool]], random: Random, max_points: int | None
) -> None:
    def encoded(pairs: list[tuple[float, bool]]) -> bytes:
        scores, truth = [score for score, _ in pairs], [label for _, label in pairs]
        return msgspec.json.encode(curves_of(scores, truth, max_points=max_points))

    shuffled = list(samples)
    random.shuffle(shuffled)

    assert encoded(shuffled) == encoded(samples)


@settings(deadline=None)
@given(scored)
def test_all_are_plain_numbers_from_zero_to_one(samples: list[tuple[float, bool]]) -> None:
    curves = curves_of([score for score, _ in samples], [label for _, label in samples])

    encoded = msgspec.json.encode(curves)
    assert msgspec.json.decode(encoded, type=ScoreCurves) == curves
    for point in curves.roc:
        rates = (point.false_positive_rate, point.recall, point.precision)
        assert all(type(rate) is float and 0 <= rate <= 1 for rate in rates)
        assert point.threshold is None or type(point.threshold) is float


def test_zero_and_minus_zero_are_one_threshold_written_one_way() -> None:
    for scores in ([0.0, -0.0], [-0.0, 0.0]):
        curves = curves_of(scores, [True, False])

        assert [str(point.threshold) for point in curves.roc] == ["None", "0.0"]


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ([0.1], [True, False], "expected one of each"),
        ([[0.1]], [[True]], "expected one of each"),
        ([float("nan")], [True], "expected finite scores"),
        ([float("inf")], [True], "expected finite scores"),
    ],
)
def test_unusable_scores_are_refused(scores: list[float], truth: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curves_of(scores, truth)
