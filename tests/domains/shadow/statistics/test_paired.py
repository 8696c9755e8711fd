from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from shieldx.domains.shadow.statistics.paired import mcnemar
from tests.domains.shadow.statistics.random_tables import LARGEST
from tests.lengths import length

pytestmark = pytest.mark.filterwarnings("error")

counts = st.integers(0, LARGEST)


@pytest.mark.soak
def test_it_is_the_binomial_test_of_scipy() -> None:
    generator, pairs = np.random.default_rng(7), length(short=300, soak=3_000)
    one = np.exp(generator.uniform(0, np.log(LARGEST), size=pairs)).astype(np.int64) * generator.integers(0, 2, pairs)
    other = np.abs(one + generator.normal(size=pairs) * 3 * np.sqrt(one + 4)).astype(np.int64)
    for first, second in zip(one.tolist(), other.tolist(), strict=True):
        expected = stats.binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
        with np.errstate(all="raise"), special.errstate(all="raise", underflow="ignore"):
            p_value = mcnemar(first, second)
        assert p_value == pytest.approx(expected, rel=1e-12, abs=1e-300), (first, second)


def test_it_is_the_exact_sum() -> None:
    for first in range(40):
        for second in range(40):
            trials, fewer = first + second, min(first, second)
            tail = Fraction(sum(comb(trials, k) for k in range(fewer + 1)), 2**trials)
            assert mcnemar(first, second) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-13, abs=0)


def test_rules_that_never_differ_are_equal() -> None:
    assert mcnemar(0, 0) == 1.0


def test_rules_as_close_to_equal_as_an_odd_number_allows_are_equal() -> None:
    assert mcnemar(161, 162) == 1.0  # twice a tail of one half, which betainc gives but for the last digits


def test_five_against_none_is_not_yet_significant() -> None:
    assert mcnemar(5, 0) == 0.0625
    assert mcnemar(6, 0) == 0.03125


@settings(deadline=None)
@given(counts, counts)
def test_it_is_a_probability_independent_of_the_order_of_rules(first: int, second: int) -> None:
    assert 0 <= mcnemar(first, second) <= 1
    assert mcnemar(first, second) == mcnemar(second, first)
    assert type(mcnemar(first, second)) is float


@pytest.mark.parametrize(("first", "second"), [(-1, 3), (3, -1)])
def test_negative_counts_are_refused(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="expected counts of at least 0"):
        mcnemar(first, second)
