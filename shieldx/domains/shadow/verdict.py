"""Interprets figures: whether the rule may be deployed, and its risk for benign traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.report import Decision, RiskLevel
from shieldx.domains.shadow.statistics.intervals import wilson

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion

FULL_DEPLOYMENT_CONFIDENCE = 0.75
FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE = 0.01
"""Applies regardless of the targets: a fully deployed rule may block at most one benign request in 100."""
CANARY_CONFIDENCE = 0.5


def decision_on(confusion: Confusion, confidence: float) -> Decision:
    """The recommended deployment, from the probability of meeting the targets and the observed false positives.

    Reject without positives or without negatives: however low the targets are, nothing is known then.
    """
    if not confusion.positives or not confusion.negatives:
        return Decision.REJECT
    harmless = confusion.false_positive_rate <= FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE
    if confidence >= FULL_DEPLOYMENT_CONFIDENCE and harmless:
        return Decision.APPROVE_FULL_DEPLOYMENT
    if confidence >= CANARY_CONFIDENCE:
        return Decision.APPROVE_CANARY
    return Decision.REJECT


def risk_level_of(confusion: Confusion, max_false_positive_rate: float) -> RiskLevel:
    """The likelihood that the rule blocks more benign requests than allowed.

    LOW: even the upper end of the 95 % interval of the false positive rate meets the target. HIGH: the observed rate is
    above the target. MEDIUM: neither.
    """
    if confusion.false_positive_rate > max_false_positive_rate:
        return RiskLevel.HIGH
    if wilson(confusion.fp, confusion.negatives).upper > max_false_positive_rate:
        return RiskLevel.MEDIUM
    return RiskLevel.LOW
