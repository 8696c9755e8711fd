"""Why a decision is what it is, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.report import Decision, RiskLevel
from shieldx.domains.shadow.verdict import (
    CANARY_CONFIDENCE,
    FULL_DEPLOYMENT_CONFIDENCE,
    FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE,
)
from shieldx.reports.figure_rows import percent, round_percent

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Report

RISKS = {
    RiskLevel.LOW: "not even the upper end of the false positive rate's interval is above its target",
    RiskLevel.MEDIUM: "the false positive rate keeps to its target, the upper end of its interval does not",
    RiskLevel.HIGH: "the false positive rate is above its target",
}


def reason(report: Report) -> str | None:
    """What the decision follows from; None where there is none."""
    if report.decision is None or report.confidence is None or report.false_positive_rate is None:
        return None
    sure, seen = percent(report.confidence), percent(report.false_positive_rate)
    full, canary = round_percent(FULL_DEPLOYMENT_CONFIDENCE), round_percent(CANARY_CONFIDENCE)
    allowed = round_percent(FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE)
    match report.decision:
        case Decision.APPROVE_FULL_DEPLOYMENT:
            return f"Confidence is {sure}, {full} at least, and the false positive rate {seen}, {allowed} at most."
        case Decision.APPROVE_CANARY if report.confidence < FULL_DEPLOYMENT_CONFIDENCE:
            return f"Confidence is {sure}: {canary} at least, but below the {full} of a full deployment."
        case Decision.APPROVE_CANARY:
            return (
                f"Confidence is {sure}, but the false positive rate {seen} is above the {allowed} of a full deployment."
            )
        case Decision.REJECT if report.confidence >= CANARY_CONFIDENCE:
            return f"Confidence is {sure}, but there are no samples with positives, or none with negatives."
        case Decision.REJECT:
            return f"Confidence is {sure}, below the {canary} of a canary."


def risk(report: Report) -> str | None:
    """What the risk level says; None where there is none."""
    return None if report.risk_level is None else RISKS[report.risk_level]


def targets(report: Report) -> str:
    """What the rule had to reach."""
    return (
        f"false positive rate {round_percent(report.targets.max_false_positive_rate)} at most, "
        f"recall {round_percent(report.targets.min_recall)} at least"
    )
