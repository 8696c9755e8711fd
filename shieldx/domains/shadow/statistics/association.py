"""Tests whether a rule's decisions are associated with the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from scipy.special import chdtrc

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion


class ChiSquare(msgspec.Struct, frozen=True, gc=False):
    """A test of independence. `p_value` is the probability of a statistic as large if decisions ignore the labels."""

    statistic: float
    p_value: float


def chi_square(confusion: Confusion) -> ChiSquare:
    """Pearson's chi-square test of the 2x2 table, one degree of freedom, without Yates's correction (Pearson 1900).

    As `scipy.stats.chi2_contingency(table, correction=False)`. If a row or column is empty, the statistic is 0 and p is
    1, since such a table cannot contradict independence (scipy raises an error). Beyond a statistic of about 1,490, p
    is 0.
    """
    statistic = confusion.total * confusion.mcc_squared
    return ChiSquare(statistic, float(chdtrc(1, statistic)))
