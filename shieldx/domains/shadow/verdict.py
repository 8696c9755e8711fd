"""What figures mean for a rule: whether it may act, and what it would do to benign traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.report import Decision, RiskLevel
from shieldx.domains.shadow.statistics.intervals import wilson

if TYPE_CHECKING:
    from shieldx.domains.shadow.statistics.confusion import Confusion

FULL_DEPLOYMENT_CONFIDENCE = 0.75
FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE = 0.01
"""Whatever its targets: a rule that is let loose on all traffic may not block more than one benign request in 100."""
CANARY_CONFIDENCE = 0.5


def decision_on(confusion: Confusion, confidence: float) -> Decision:
    """Where a rule may be deployed, by the probability that it meets its targets and the false positives seen.

    Nowhere without positives and negatives: however low its targets, nothing was seen of it then.
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
    """How likely the rule blocks more benign requests than it may.

    LOW: not even the upper end of the 95 % interval of its false positive rate is above the target. HIGH: the rate that
    was seen is. MEDIUM: neither.
    """
    if confusion.false_positive_rate > max_false_positive_rate:
        return RiskLevel.HIGH
    if wilson(confusion.fp, confusion.negatives).upper > max_false_positive_rate:
        return RiskLevel.MEDIUM
    return RiskLevel.LOW
