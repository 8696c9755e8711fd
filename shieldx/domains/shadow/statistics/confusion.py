"""The confusion matrix of a rule, and the figures derived from it.

Every figure is one quotient of integers, which Python rounds once whatever their size; MCC also takes one root. So
there is no overflow, and no cancellation that costs floating-point formulas digits on large counts.

A quotient whose denominator is 0 is 0, as in scikit-learn with `zero_division=0`, unless its docstring says otherwise.
"""

from __future__ import annotations

from math import copysign, sqrt

import msgspec


class Confusion(msgspec.Struct, frozen=True, gc=False):
    """Counts of samples. A positive is a sample on which the rule should fire; predicted positive means that it fired.

    Raises ValueError for a count that is negative or not a plain int: numpy's integers overflow silently.
    """

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            count = getattr(self, name)
            if type(count) is not int or count < 0:
                raise ValueError(f"{name} is {count!r}: expected a plain int of at least 0")

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.tn + other.tn, self.fn + other.fn)

    @property
    def positives(self) -> int:
        """Samples on which the rule should fire."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Samples on which it should not."""
        return self.fp + self.tn

    @property
    def predicted_positives(self) -> int:
        """Samples on which it fired."""
        return self.tp + self.fp

    @property
    def predicted_negatives(self) -> int:
        """Samples on which it did not."""
        return self.tn + self.fn

    @property
    def total(self) -> int:
        """All samples."""
        return self.positives + self.negatives

    @property
    def precision(self) -> float:
        """The share of positives among samples that fired, tp / (tp + fp); 0 if none fired (Fawcett 2006)."""
        return _quotient(self.tp, self.predicted_positives)

    @property
    def recall(self) -> float:
        """The share of positives that fired, tp / (tp + fn); 0 without positives (Fawcett 2006)."""
        return _quotient(self.tp, self.positives)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn) (van Rijsbergen 1979).

        0 without true positives, even if there was nothing to find and nothing fired.
        """
        return _quotient(2 * self.tp, self.positives + self.predicted_positives)

    @property
    def false_positive_rate(self) -> float:
        """The share of negatives that fired, fp / (fp + tn); 0 without negatives (Fawcett 2006)."""
        return _quotient(self.fp, self.negatives)

    @property
    def specificity(self) -> float:
        """The share of negatives that did not fire, tn / (fp + tn); 0 without negatives, when the FPR is also 0."""
        return _quotient(self.tn, self.negatives)

    @property
    def accuracy(self) -> float:
        """The share of correctly judged samples; 0 without samples."""
        return _quotient(self.tp + self.tn, self.total)

    @property
    def balanced_accuracy(self) -> float:
        """The mean of recall and specificity (Brodersen et al. 2010).

        As in scikit-learn, a class without samples is ignored and the other's rate remains. 0 without samples.
        """
        if not self.positives:
            return self.specificity
        if not self.negatives:
            return self.recall
        return (self.tp * self.negatives + self.tn * self.positives) / (2 * self.positives * self.negatives)

    @property
    def auc(self) -> float:
        """The area under the ROC curve of a yes/no rule, which is its balanced accuracy (Fawcett 2006).

        0.5, no better than chance, if there are no positives or no negatives (undefined in scikit-learn).
        """
        return self.balanced_accuracy if self.positives and self.negatives else 0.5

    @property
    def mcc(self) -> float:
        """The correlation of label and decision, -1 to 1 (Matthews 1975).

        (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)); 0 if a row or column of the matrix is empty.
        """
        return copysign(sqrt(self.mcc_squared), self._determinant)

    @property
    def mcc_squared(self) -> float:
        """The square of MCC, rounded once. Multiplied by the total it is the chi-square statistic (Pearson 1900)."""
        margins = self.positives * self.negatives * self.predicted_positives * self.predicted_negatives
        return _quotient(self._determinant**2, margins)

    @property
    def kappa(self) -> float:
        """Agreement of label and decision beyond chance, -1 to 1 (Cohen 1960).

        (observed - expected) / (1 - expected), which for two classes is
        2 (tp tn - fp fn) / ((tp + fp)(fp + tn) + (tp + fn)(fn + tn)). 0 if this is 0 / 0, because all samples are of
        one
        class and were judged so (undefined in scikit-learn), and without samples.
        """
        by_chance = self.predicted_positives * self.negatives + self.positives * self.predicted_negatives
        return _quotient(2 * self._determinant, by_chance)

    @property
    def _determinant(self) -> int:
        return self.tp * self.tn - self.fp * self.fn


def _quotient(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
