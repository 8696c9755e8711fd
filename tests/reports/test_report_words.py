from __future__ import annotations

import pytest

from shieldx.domains.shadow.report import Charge, Decision, Figures, RiskLevel
from shieldx.reports.figure_rows import duration, figure_rows, figures_of, interval, p_value, percent, round_percent
from shieldx.reports.provenance import provenance
from shieldx.reports.reason import reason, risk
from tests.reports.example_reports import completed, refused


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0.00 %"),
        (0.00004, "< 0.01 %"),
        (0.00005, "0.01 %"),
        (0.123456, "12.35 %"),
        (0.99994, "99.99 %"),
        (0.99996, "> 99.99 %"),
        (1.0, "100.00 %"),
    ],
)
def test_only_exact_shares_are_shown_as_0_or_100_percent(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_figures_have_their_units() -> None:
    assert interval((0.1, 0.25)) == "10.00 – 25.00 %"  # noqa: RUF001 - as it is shown
    assert [round_percent(share) for share in (0.01, 0.8, 1.0, 0.0015)] == ["1 %", "80 %", "100 %", "0.15 %"]
    assert [p_value(p) for p in (0.0, 0.00009, 0.0312, 1.0)] == ["< 0.0001", "< 0.0001", "= 0.0312", "= 1.0000"]
    assert duration(34_567) == "34.6 µs"
    assert duration(1_234_567) == "1.2 ms"


def test_every_figure_is_shown_but_the_counts() -> None:
    figures = figures_of(completed())
    assert figures is not None
    assert len(figure_rows(figures)) == len(Figures.__struct_fields__) - len(
        ["the four counts", "", "", "", "p, next to chi-square", "what the AUC is, in its name", "the intervals"]
    )
    assert {row.name for row in figure_rows(figures) if row.interval} == {
        "precision",
        "recall",
        "false positive rate",
        "specificity",
    }
    assert figures_of(refused()) is None


@pytest.mark.parametrize(
    ("decision", "confidence", "rate", "said"),
    [
        (
            "APPROVE_FULL_DEPLOYMENT",
            0.8,
            0.01,
            "Confidence is 80.00 % (required: 75 %), and the false positive rate is 1.00 %",
        ),
        (
            "APPROVE_CANARY",
            0.6,
            0.0,
            "Confidence is 60.00 %: enough for a canary (50 %), but not for full deployment (75 %).",
        ),
        (
            "APPROVE_CANARY",
            0.9,
            0.02,
            "the false positive rate of 2.00 % is above the 1 % allowed for full deployment.",
        ),
        ("REJECT", 0.1, 0.0, "Confidence is 10.00 %, below the 50 % required for a canary."),
    ],
)
def test_a_decision_has_its_reason(decision: str, confidence: float, rate: float, said: str) -> None:
    report = completed(decision=Decision(decision), confidence=confidence, false_positive_rate=rate)
    assert said in (reason(report) or "")


def test_without_a_decision_there_is_no_reason() -> None:
    assert reason(refused()) is risk(refused()) is None


@pytest.mark.parametrize("level", RiskLevel)
def test_a_risk_says_what_it_means(level: RiskLevel) -> None:
    assert "false positive rate" in (risk(completed(risk_level=level)) or "")


def test_where_figures_are_from_is_said_without_what_is_unknown() -> None:
    facts = dict(provenance(completed(cached_from="e0", ground_truth="942100"), whole_hash=True))
    assert facts["samples"] == "1,000 of default, version 0123456789abcdef at offsets 12 to 1,011, seed 7"
    assert facts["outcomes from"] == "evaluation e0 of the same rule and samples"
    assert facts["truth"] == "expectations for rule 942100 in the samples"
    assert facts["charge"] == "1,000 committed, reservation shadow/e1"
    assert len(facts["rule hash"]) == 64
    facts = dict(provenance(refused(rule_hash=None, rule_version=None), whole_hash=False))
    assert facts["rule"] == "sqli-1, union select, signature"
    assert facts["samples"] == "default, seed 7"
    assert (facts["charge"], facts["truth"]) == ("none", "the labels")
    assert not {"rule hash", "outcomes from"} & facts.keys()


@pytest.mark.parametrize("status", ["released", "expired"])
def test_a_charge_says_what_became_of_it(status: str) -> None:
    charge = Charge(amount=5, reservation_id="shadow/e1", status=status)  # type: ignore[arg-type]
    assert dict(provenance(completed(charge=charge), whole_hash=True))["charge"] == f"5 {status}, reservation shadow/e1"
