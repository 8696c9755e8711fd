"""The confidence that a rule meets its targets, given the observed samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy.special import betainc, betaincc

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion


def confidence(confusion: Confusion, *, max_false_positive_rate: float = 0.01, min_recall: float = 0.8) -> float:
    """P(FPR <= its maximum and recall >= its minimum), given the samples (Gelman et al., Bayesian Data Analysis, 2.4).

    Both rates have independent uniform priors, Beta(1, 1); their posteriors are Beta(1 + fp, 1 + tn) and Beta(1 + tp, 1
    + fn). So without negatives or positives only the prior counts: without any sample, the defaults give 0.01 · 0.2.
    Raises ValueError for a target outside 0 to 1.
    """
    for name, target in (("max_false_positive_rate", max_false_positive_rate), ("min_recall", min_recall)):
        if not 0 <= target <= 1:
            raise ValueError(f"{name} is {target}: expected a rate from 0 to 1")
    few_false_positives = float(betainc(1.0 + confusion.fp, 1.0 + confusion.tn, max_false_positive_rate))
    enough_found = float(betaincc(1.0 + confusion.tp, 1.0 + confusion.fn, min_recall))
    return few_false_positives * enough_found
