"""The reason for a decision, in one sentence."""

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
    RiskLevel.LOW: "even the upper end of the false positive rate's interval meets the target",
    RiskLevel.MEDIUM: "the false positive rate meets its target, but the upper end of its interval does not",
    RiskLevel.HIGH: "the false positive rate is above its target",
}


def reason(report: Report) -> str | None:
    """The reason for the decision, or None if there is no decision."""
    if report.decision is None or report.confidence is None or report.false_positive_rate is None:
        return None
    sure, seen = percent(report.confidence), percent(report.false_positive_rate)
    full, canary = round_percent(FULL_DEPLOYMENT_CONFIDENCE), round_percent(CANARY_CONFIDENCE)
    allowed = round_percent(FULL_DEPLOYMENT_MAX_FALSE_POSITIVE_RATE)
    match report.decision:
        case Decision.APPROVE_FULL_DEPLOYMENT:
            return (
                f"Confidence is {sure} (required: {full}), and the false positive rate is {seen} (allowed: {allowed})."
            )
        case Decision.APPROVE_CANARY if report.confidence < FULL_DEPLOYMENT_CONFIDENCE:
            return f"Confidence is {sure}: enough for a canary ({canary}), but not for full deployment ({full})."
        case Decision.APPROVE_CANARY:
            return (
                f"Confidence is {sure}, but the false positive rate of {seen} is above the {allowed} "
                "allowed for full deployment."
            )
        case Decision.REJECT if report.confidence >= CANARY_CONFIDENCE:
            return f"Confidence is {sure}, but the samples contain no positives or no negatives."
        case Decision.REJECT:
            return f"Confidence is {sure}, below the {canary} required for a canary."


def risk(report: Report) -> str | None:
    """The meaning of the risk level, or None if there is none."""
    return None if report.risk_level is None else RISKS[report.risk_level]


def targets(report: Report) -> str:
    """The targets that the rule had to meet."""
    return (
        f"false positive rate at most {round_percent(report.targets.max_false_positive_rate)}, "
        f"recall at least {round_percent(report.targets.min_recall)}"
    )
