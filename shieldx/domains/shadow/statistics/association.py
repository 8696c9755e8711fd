"""Whether a rule's decisions have anything to do with the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from scipy.special import chdtrc

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion


class ChiSquare(msgspec.Struct, frozen=True, gc=False):
    """A test of independence: `p_value` is how likely a statistic as large is if labels and decisions are unrelated."""

    statistic: float
    p_value: float


def chi_square(confusion: Confusion) -> ChiSquare:
    """Pearson's chi-square test of the 2x2 table, one degree of freedom, without Yates's correction (Pearson 1900).

    As `scipy.stats.chi2_contingency(table, correction=False)`. Statistic 0 and p 1 where a row or column is empty, as
    such a table cannot speak against independence (scipy refuses it). Beyond a statistic of about 1,490, p is 0.
    """
    statistic = confusion.total * confusion.mcc_squared
    return ChiSquare(statistic, float(chdtrc(1, statistic)))
