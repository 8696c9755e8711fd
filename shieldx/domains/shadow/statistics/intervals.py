"""Confidence intervals of measured proportions."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from scipy.special import ndtri

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion


class Interval(NamedTuple):
    """From `lower` to `upper`, both between 0 and 1."""

    lower: float
    upper: float


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Interval:
    """The score interval of a proportion (Wilson 1927; Newcombe 1998, method 3); 0 to 1 without trials.

    Its ends are the roots of (n + z²) p² - (2k + z²) p + k² / n. The lower end is computed from the product of both,
    not from the difference in the usual formula, which loses digits close to 0.

    Raises ValueError unless 0 <= successes <= trials and 0 < level < 1.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials: expected 0 to {trials}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: expected a probability between 0 and 1, such as 0.95")
    if not trials:
        return Interval(0.0, 1.0)
    z = float(ndtri(0.5 + level / 2))
    larger = 2 * successes + z * z + z * sqrt(z * z + 4 * (successes * (trials - successes) / trials))
    return Interval(
        lower=2 * (successes * successes / trials) / larger,
        upper=1.0 if successes == trials else larger / (2 * (trials + z * z)),
    )


def f1_interval(confusion: Confusion, *, level: float = 0.95) -> Interval:
    """The interval of F1, from Wilson's of F1 / (2 - F1) (indirect method of Lam, Gopal and Qian, arXiv 2309.14621).

    F1 / (2 - F1) is the proportion of true positives among the samples that are positive or fired, and grows with F1. 0
    to 1 if there is no such sample. Raises ValueError unless 0 < level < 1.
    """
    relevant = confusion.tp + confusion.fp + confusion.fn
    proportion = wilson(confusion.tp, relevant, level=level)
    return Interval(*(2 * end / (1 + end) for end in proportion))
