from __future__ import annotations

import warnings
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from shieldx.domains.shadow.statistics.confusion import Confusion
from tests.domains.shadow.statistics.random_tables import EXACT_IN_FLOATS, LARGEST, TABLES, random_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.filterwarnings("error")

FIGURES = (
    "precision",
    "recall",
    "f1",
    "false_positive_rate",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "auc",
    "mcc",
    "kappa",
)
LABEL, DECISION = np.array([1, 0, 0, 1]), np.array([1, 1, 0, 0])  # of tp, fp, tn, fn
counts = st.integers(0, LARGEST)
confusions = st.builds(Confusion, counts, counts, counts, counts)


def figures_of(confusion: Confusion) -> list[float]:
    return [getattr(confusion, name) for name in FIGURES]


def one_class_each(cells: Iterable[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of many (tp, fp, fn) in one call: each is a class, and 0 is the rest."""
    true, predicted, weight = [], [], []
    for number, (tp, fp, fn) in enumerate(cells, start=1):
        true += [number, 0, number]
        predicted += [number, number, 0]
        weight += [tp, fp, fn]
    labels = range(1, len(true) // 3 + 1)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        true, predicted, labels=labels, sample_weight=weight, zero_division=0
    )
    return precision, recall, f1


def by_scikit_learn(metric: Callable[..., float], confusion: Confusion) -> float:
    """The metric, or NaN if scikit-learn has no value. It rejects a table without samples."""
    if not confusion.total:
        return float("nan")
    weight = np.array([confusion.tp, confusion.fp, confusion.tn, confusion.fn])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes without samples, and of NaN
        return metric(LABEL, DECISION, sample_weight=weight)


@pytest.mark.soak
@pytest.mark.parametrize("largest", [EXACT_IN_FLOATS, LARGEST])
def test_rates_are_those_of_scikit_learn(largest: int) -> None:
    tables = random_tables(largest)
    assert len(tables) == TABLES

    precision, recall, f1 = one_class_each((table.tp, table.fp, table.fn) for table in tables)
    _, specificity, _ = one_class_each((table.tn, table.fn, table.fp) for table in tables)
    _, false_positive_rate, _ = one_class_each((table.fp, table.tp, table.tn) for table in tables)

    for name, expected in {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "specificity": specificity,
        "false_positive_rate": false_positive_rate,
    }.items():
        np.testing.assert_allclose([getattr(table, name) for table in tables], expected, rtol=1e-12, atol=0)
    both = [index for index, table in enumerate(tables) if table.positives and table.negatives]
    mean = ((recall + specificity) / 2)[both]
    np.testing.assert_allclose([tables[index].balanced_accuracy for index in both], mean, rtol=1e-12, atol=0)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "metric", "tables"),
    [
        ("accuracy", metrics.accuracy_score, TABLES),
        ("balanced_accuracy", metrics.balanced_accuracy_score, TABLES // 5),  # the other test has the rest
        ("mcc", metrics.matthews_corrcoef, TABLES),
        ("kappa", metrics.cohen_kappa_score, TABLES),
    ],
)
def test_figures_of_the_whole_table_are_those_of_scikit_learn(
    name: str, metric: Callable[..., float], tables: int
) -> None:
    undefined = 0
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):  # a third of the time
        for table in random_tables(EXACT_IN_FLOATS, tables):
            figure, expected = getattr(table, name), by_scikit_learn(metric, table)
            if np.isnan(expected):
                undefined += 1
                assert figure == 0.0, table
            else:
                assert figure == pytest.approx(expected, rel=1e-12, abs=1e-12), table

    one_class_and_judged_so = 2 * TABLES // 16
    assert undefined == tables // 16 + (one_class_and_judged_so if name == "kappa" else 0)


@pytest.mark.soak
def test_twelve_digits_are_right_at_any_size() -> None:
    for table in random_tables(LARGEST):
        tp, fp, tn, fn = (Decimal(count) for count in msgspec.structs.astuple(table))
        with localcontext(prec=60):
            determinant = tp * tn - fp * fn
            margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
            by_chance = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
            expected = {
                "mcc": determinant / margins.sqrt() if margins else 0,
                "kappa": 2 * determinant / by_chance if by_chance else 0,
                "accuracy": (tp + tn) / (tp + fp + tn + fn) if table.total else 0,
            }
            if table.positives and table.negatives:
                expected["balanced_accuracy"] = (tp / (tp + fn) + tn / (tn + fp)) / 2
        for name, value in expected.items():
            assert getattr(table, name) == pytest.approx(float(value), rel=1e-14, abs=0), (table, name)


@pytest.mark.parametrize(
    ("confusion", "expected"),
    [
        # precision, recall, F1, FPR, specificity, accuracy, balanced accuracy, AUC, MCC, kappa
        (Confusion(), [0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0]),
        (Confusion(tp=7), [1, 1, 1, 0, 0, 1, 1, 0.5, 0, 0]),
        (Confusion(fp=7), [0, 0, 0, 1, 0, 0, 0, 0.5, 0, 0]),
        (Confusion(tn=7), [0, 0, 0, 0, 1, 1, 1, 0.5, 0, 0]),
        (Confusion(fn=7), [0, 0, 0, 0, 0, 0, 0, 0.5, 0, 0]),
        (Confusion(tp=3, fn=1), [1, 0.75, 6 / 7, 0, 0, 0.75, 0.75, 0.5, 0, 0]),
        (Confusion(tn=3, fn=1), [0, 0, 0, 0, 1, 0.75, 0.5, 0.5, 0, 0]),
        (Confusion(tp=3, fp=1), [0.75, 1, 6 / 7, 1, 0, 0.75, 0.5, 0.5, 0, 0]),
        (Confusion(fp=2, fn=2), [0, 0, 0, 1, 0, 0, 0, 0, -1, -1]),
        (Confusion(tp=10**9, tn=10**9), [1, 1, 1, 0, 1, 1, 1, 1, 1, 1]),
        (Confusion(tp=6, fp=1, tn=3, fn=2), [6 / 7, 0.75, 0.8, 0.25, 0.75, 0.75, 0.75, 0.75, 16 / 1120**0.5, 32 / 68]),
    ],
)
def test_every_case_has_a_value(confusion: Confusion, expected: list[float]) -> None:
    assert figures_of(confusion) == pytest.approx(expected, rel=1e-15)


@settings(deadline=None)
@given(confusions)
def test_figures_are_plain_floats_within_their_bounds(confusion: Confusion) -> None:
    for name, figure in zip(FIGURES, figures_of(confusion), strict=True):
        assert type(figure) is float
        assert (-1 if name in {"mcc", "kappa"} else 0) <= figure <= 1


@settings(deadline=None)
@given(confusions)
def test_mcc_and_kappa_are_symmetric_in_the_classes(confusion: Confusion) -> None:
    swapped = Confusion(tp=confusion.tn, fp=confusion.fn, tn=confusion.tp, fn=confusion.fp)

    assert (swapped.mcc, swapped.kappa) == (confusion.mcc, confusion.kappa)


@settings(deadline=None)
@given(confusions)
def test_an_inverted_rule_has_the_negated_mcc(confusion: Confusion) -> None:
    opposite = Confusion(tp=confusion.fn, fp=confusion.tn, tn=confusion.fp, fn=confusion.tp)

    assert opposite.mcc == -confusion.mcc


@settings(deadline=None)
@given(confusions, confusions)
def test_parts_add_up(one: Confusion, other: Confusion) -> None:
    both = one + other

    assert both.total == one.total + other.total
    assert both.positives == one.positives + other.positives
    assert both.predicted_positives == one.predicted_positives + other.predicted_positives
    assert both.predicted_negatives + both.predicted_positives == both.negatives + both.positives


@pytest.mark.parametrize("count", [-1, 1.0, True, np.int64(3)])
def test_what_is_no_count_is_refused(count: Any) -> None:
    with pytest.raises(ValueError, match=r"tn is .*: expected a plain int of at least 0"):
        Confusion(tn=count)
