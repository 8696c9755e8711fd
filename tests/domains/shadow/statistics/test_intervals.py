from __future__ import annotations

from decimal import Decimal, localcontext
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.statistics.intervals import Interval, f1_interval, wilson
from tests.domains.shadow.statistics.random_tables import LARGEST, TABLES, random_tables

pytestmark = pytest.mark.filterwarnings("error")

parts = st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST))


@pytest.mark.soak
@pytest.mark.parametrize(("level", "tables"), [(0.95, TABLES), (0.5, 500), (0.999, 500)])
def test_it_is_that_of_scipy(level: float, tables: int) -> None:
    for table in random_tables(LARGEST, tables):
        with np.errstate(all="raise"), special.errstate(all="raise"):
            interval = wilson(table.tp, table.positives, level=level)
        if not table.positives:
            assert interval == (0.0, 1.0)
            continue
        expected = stats.binomtest(table.tp, table.positives).proportion_ci(level, method="wilson")
        assert interval == pytest.approx(tuple(expected), rel=1e-12, abs=0), table


def test_twelve_digits_are_right_near_zero() -> None:
    z = Decimal(NormalDist().inv_cdf(0.975))
    for successes in (1, 2, 10, 1000):
        with localcontext(prec=60):
            n = Decimal(10**9)
            root = z * (z * z + 4 * successes * (n - successes) / n).sqrt()
            lower, upper = ((2 * successes + z * z + sign * root) / (2 * (n + z * z)) for sign in (-1, 1))
        assert wilson(successes, 10**9) == pytest.approx((float(lower), float(upper)), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [
        (0, 0, (0.0, 1.0)),
        (0, 10, (0.0, 0.27753)),
        (10, 10, (0.72247, 1.0)),
        (81, 263, (0.2553, 0.3662)),  # Newcombe 1998, table I, method 3
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_examples(successes: int, trials: int, interval: Interval) -> None:
    assert wilson(successes, trials) == pytest.approx(interval, abs=5e-5)


@settings(deadline=None)
@given(parts)
def test_it_holds_the_proportion_and_mirrors(counts: tuple[int, int]) -> None:
    successes, failures = counts
    trials = successes + failures

    lower, upper = wilson(successes, trials)
    mirrored = wilson(failures, trials)

    assert 0 <= lower <= (successes / trials if trials else 0.5) <= upper <= 1
    assert (1 - mirrored.upper, 1 - mirrored.lower) == pytest.approx((lower, upper), abs=1e-15)
    assert {type(lower), type(upper)} == {float}


@settings(deadline=None)
@given(parts)
def test_none_or_all_reach_the_end_exactly(counts: tuple[int, int]) -> None:
    trials = 1 + sum(counts)

    assert wilson(0, trials).lower == 0.0
    assert wilson(trials, trials).upper == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes in"):
        wilson(successes, trials)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_impossible_levels_are_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level is"):
        wilson(1, 2, level=level)


def test_the_interval_of_f1_is_that_of_a_proportion_carried_over() -> None:
    table = Confusion(tp=80, fp=10, tn=900, fn=15)

    lower, upper = f1_interval(table)

    carried_back = (lower / (2 - lower), upper / (2 - upper))
    assert carried_back == pytest.approx(wilson(80, 105), rel=1e-14)
    assert lower < table.f1 < upper


@pytest.mark.parametrize("f1", [0.3, 0.6, 0.9])
def test_the_interval_of_f1_covers_it_about_as_often_as_it_says(f1: float) -> None:
    relevant, proportion = 200, f1 / (2 - f1)
    tp = np.arange(relevant + 1)
    covered = [lower <= f1 <= upper for lower, upper in (f1_interval(Confusion(int(k), relevant - int(k))) for k in tp)]

    coverage = stats.binom.pmf(tp, relevant, proportion)[covered].sum()

    assert coverage == pytest.approx(0.95, abs=0.02)


def test_the_interval_of_f1_without_relevant_samples_is_everything() -> None:
    assert f1_interval(Confusion(tn=100)) == (0.0, 1.0)
