"""Whether one rule is better than another on the same samples."""

from __future__ import annotations

from scipy.special import betainc


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: the p-value of both rules being right equally often (McNemar 1947).

    `only_first` counts the samples that the first rule alone judged rightly, `only_second` those of the second. If the
    rules were equally good, each of these would be a fair coin: p is twice the smaller tail of Binomial(n, 1/2), at
    most 1, as in `scipy.stats.binomtest`. 1 where the rules never differ. Raises ValueError for a negative count.
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} samples: give counts of 0 at least")
    fewer, more = sorted((only_first, only_second))
    if more - fewer <= 1:
        return 1.0  # both tails are everything
    return 2 * float(betainc(float(more), fewer + 1.0, 0.5))
