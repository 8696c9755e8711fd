from __future__ import annotations

from decimal import Decimal, localcontext
from math import erfc, sqrt

import msgspec
import numpy as np
import pytest
from scipy import special, stats

from shieldx.domains.shadow.statistics.association import chi_square
from shieldx.domains.shadow.statistics.confusion import Confusion
from tests.domains.shadow.statistics.random_tables import EXACT_IN_FLOATS, LARGEST, TABLES, random_tables

pytestmark = pytest.mark.filterwarnings("error")


def has_an_empty_row_or_column(table: Confusion) -> bool:
    return 0 in (table.positives, table.negatives, table.predicted_positives, table.predicted_negatives)


@pytest.mark.soak
def test_it_is_that_of_scipy() -> None:
    compared = 0
    for table in random_tables(EXACT_IN_FLOATS):
        tested = chi_square(table)
        if has_an_empty_row_or_column(table):
            assert tested == chi_square(Confusion())
            continue
        expected = stats.chi2_contingency([[table.tp, table.fn], [table.fp, table.tn]], correction=False)
        assert tested.statistic == pytest.approx(expected.statistic, rel=1e-12, abs=1e-12), table
        assert tested.p_value == pytest.approx(expected.pvalue, rel=1e-12, abs=1e-12), table
        compared += 1
    assert compared == TABLES * 7 // 16  # three cells or all, or one of the two diagonals


@pytest.mark.soak
def test_twelve_digits_are_right_at_any_size() -> None:
    for table in random_tables(LARGEST):
        tp, fp, tn, fn = (Decimal(count) for count in msgspec.structs.astuple(table))
        with np.errstate(all="raise"), special.errstate(all="raise", underflow="ignore"):
            tested = chi_square(table)
        with localcontext(prec=60):
            margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
            expected = float(table.total * (tp * tn - fp * fn) ** 2 / margins) if margins else 0.0
        assert tested.statistic == pytest.approx(expected, rel=1e-14, abs=0), table
        assert tested.p_value == pytest.approx(erfc(sqrt(expected / 2)), rel=1e-12, abs=1e-300), table


@pytest.mark.parametrize(
    "table",
    [Confusion(), Confusion(tp=5), Confusion(tp=5, fp=3), Confusion(tp=5, fn=3), Confusion(tn=5, fn=3)],
)
def test_an_empty_row_or_column_is_inconclusive(table: Confusion) -> None:
    tested = chi_square(table)

    assert (tested.statistic, tested.p_value) == (0.0, 1.0)


def test_results_are_plain_floats() -> None:
    tested = chi_square(Confusion(tp=8, fp=1, tn=9, fn=2))

    assert [type(figure) for figure in msgspec.structs.astuple(tested)] == [float, float]
    assert tested.statistic == pytest.approx(20 * 70**2 / (9 * 10 * 10 * 11))
