"""The recommended deployment and the risk, at and next to every threshold."""

from __future__ import annotations

import pytest

from shieldx.domains.shadow.report import Decision, RiskLevel
from shieldx.domains.shadow.statistics.confusion import Confusion
from shieldx.domains.shadow.verdict import decision_on, risk_level_of

HARMLESS = Confusion(tp=80, fn=20, fp=1, tn=99)
HARMFUL = Confusion(tp=80, fn=20, fp=2, tn=98)
BELOW_75, BELOW_50 = 0.75 - 1e-9, 0.5 - 1e-9


@pytest.mark.parametrize(
    ("confusion", "confidence", "decision"),
    [
        (HARMLESS, 1.0, Decision.APPROVE_FULL_DEPLOYMENT),
        (HARMLESS, 0.75, Decision.APPROVE_FULL_DEPLOYMENT),
        (HARMLESS, BELOW_75, Decision.APPROVE_CANARY),
        (HARMLESS, 0.5, Decision.APPROVE_CANARY),
        (HARMLESS, BELOW_50, Decision.REJECT),
        (HARMLESS, 0.0, Decision.REJECT),
        (HARMFUL, 1.0, Decision.APPROVE_CANARY),
        (HARMFUL, 0.5, Decision.APPROVE_CANARY),
        (HARMFUL, BELOW_50, Decision.REJECT),
    ],
)
def test_a_decision(confusion: Confusion, confidence: float, decision: Decision) -> None:
    assert decision_on(confusion, confidence) is decision


@pytest.mark.parametrize(
    ("fp", "tn", "target", "risk_level"),
    [
        (0, 10, 0.01, RiskLevel.MEDIUM),
        (0, 380, 0.01, RiskLevel.MEDIUM),
        (0, 381, 0.01, RiskLevel.LOW),
        (1, 99, 0.01, RiskLevel.MEDIUM),
        (2, 98, 0.01, RiskLevel.HIGH),
        (2, 98, 0.1, RiskLevel.LOW),
        (0, 0, 0.01, RiskLevel.MEDIUM),
        (0, 0, 1.0, RiskLevel.LOW),
        (1, 0, 0.5, RiskLevel.HIGH),
        (0, 10, 0.0, RiskLevel.MEDIUM),
    ],
    ids=str,
)
def test_a_risk_level(fp: int, tn: int, target: float, risk_level: RiskLevel) -> None:
    assert risk_level_of(Confusion(tp=1, fp=fp, tn=tn, fn=1), target) is risk_level
