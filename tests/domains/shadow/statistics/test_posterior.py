from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.statistics.posterior import confidence
from tests.domains.shadow.statistics.random_tables import LARGEST, random_tables

pytestmark = pytest.mark.filterwarnings("error")

counts = st.integers(0, LARGEST)
few = st.integers(0, 500)
rates = st.floats(0, 1)


def within_targets(max_fpr: Fraction, min_recall: Fraction, table: Confusion) -> Fraction:
    """The same without special functions: P(Beta(1 + k, 1 + n - k) <= x) = P(Binomial(n + 1, x) > k)."""

    def beta_at_most(successes: int, failures: int, x: Fraction) -> Fraction:
        trials = successes + failures + 1
        return sum(
            (comb(trials, k) * x**k * (1 - x) ** (trials - k) for k in range(successes + 1, trials + 1)), Fraction(0)
        )

    return beta_at_most(table.fp, table.tn, max_fpr) * (1 - beta_at_most(table.tp, table.fn, min_recall))


def test_it_is_that_of_scipy() -> None:
    tables = random_tables(LARGEST)
    tp, fp, tn, fn = np.array([(table.tp, table.fp, table.tn, table.fn) for table in tables], dtype=float).T
    expected = stats.beta.cdf(0.01, 1 + fp, 1 + tn) * stats.beta.sf(0.8, 1 + tp, 1 + fn)

    with np.errstate(all="raise"), special.errstate(all="raise", underflow="ignore"):
        found = [confidence(table) for table in tables]

    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)
    assert {type(one) for one in found} == {float}


@pytest.mark.parametrize(
    "table",
    [
        Confusion(tp=40, fp=0, tn=300, fn=4),
        Confusion(tp=8, fp=3, tn=97, fn=2),
        Confusion(tp=80, fp=1, tn=250, fn=20),
        Confusion(tp=0, fp=0, tn=400, fn=0),
    ],
)
def test_it_is_the_exact_sum_and_the_integral(table: Confusion) -> None:
    exact = float(within_targets(Fraction(1, 100), Fraction(4, 5), table))
    low_fpr, _ = integrate.quad(stats.beta(1 + table.fp, 1 + table.tn).pdf, 0, 0.01, epsabs=0, epsrel=1e-12)
    high_recall, _ = integrate.quad(stats.beta(1 + table.tp, 1 + table.fn).pdf, 0.8, 1, epsabs=0, epsrel=1e-12)

    assert confidence(table) == pytest.approx(exact, rel=1e-12, abs=0)
    assert confidence(table) == pytest.approx(low_fpr * high_recall, rel=1e-11, abs=0)


def test_without_samples_the_prior_speaks() -> None:
    assert confidence(Confusion()) == pytest.approx(0.01 * 0.2, rel=1e-14, abs=0)
    assert confidence(Confusion(tp=10**6)) == pytest.approx(0.01, rel=1e-14, abs=0)
    assert confidence(Confusion(tn=10**6)) == pytest.approx(0.2, rel=1e-14, abs=0)


def test_many_samples_make_sure() -> None:
    good, bad = Confusion(tp=900, fn=100, tn=99_900, fp=100), Confusion(tp=900, fn=100, tn=98_000, fp=2_000)

    assert confidence(good) > 0.999_999
    assert confidence(bad) < 1e-6


@settings(deadline=None)
@given(few, few, few, few)
def test_it_grows_with_what_went_well_and_falls_with_what_did_not(tp: int, fp: int, tn: int, fn: int) -> None:
    table, slack = confidence(Confusion(tp, fp, tn, fn)), 1 + 1e-12

    assert confidence(Confusion(tp + 1, fp, tn, fn)) * slack >= table
    assert confidence(Confusion(tp, fp, tn + 1, fn)) * slack >= table
    assert confidence(Confusion(tp, fp + 1, tn, fn)) <= table * slack
    assert confidence(Confusion(tp, fp, tn, fn + 1)) <= table * slack


@settings(deadline=None)
@given(st.builds(Confusion, counts, counts, counts, counts), rates, rates)
def test_it_is_a_probability_for_all_counts_and_targets(table: Confusion, max_fpr: float, min_recall: float) -> None:
    assert 0 <= confidence(table, max_false_positive_rate=max_fpr, min_recall=min_recall) <= 1


@settings(deadline=None)
@given(st.builds(Confusion, counts, counts, counts, counts))
def test_targets_that_all_or_none_meet(table: Confusion) -> None:
    assert confidence(table, max_false_positive_rate=1.0, min_recall=0.0) == 1.0
    assert confidence(table, max_false_positive_rate=0.0) == 0.0
    assert confidence(table, min_recall=1.0) == 0.0


@pytest.mark.parametrize(
    "targets", [{"max_false_positive_rate": 1.5}, {"min_recall": 80}, {"min_recall": float("nan")}]
)
def test_invalid_rates_are_rejected(targets: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a rate from 0 to 1"):
        confidence(Confusion(), **targets)
