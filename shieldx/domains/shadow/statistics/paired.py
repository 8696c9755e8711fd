"""Compares two rules on the same samples."""

from __future__ import annotations

from scipy.special import betainc


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: the p-value of both rules being equally often right (McNemar 1947).

    `only_first` counts the samples that only the first rule judged correctly, `only_second` those that only the second
    did. If the rules were equally good, each of these would be a fair coin toss: p is twice the smaller tail of
    Binomial(n, 1/2), at most 1, as in `scipy.stats.binomtest`. 1 if the rules never differ. Raises ValueError for a
    negative count.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} samples: expected counts of at least 0")
    fewer, more = sorted((only_first, only_second))
    if more - fewer <= 1:
        return 1.0  # the tails overlap
    return 2 * float(betainc(float(more), fewer + 1.0, 0.5))
