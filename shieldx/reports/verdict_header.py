"""The head of a page: the rule, the decision, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.shadow.report import Decision
from shieldx.reports.confidence_bar import confidence_bar
from shieldx.reports.elements import Element, element
from shieldx.reports.provenance import rule_title
from shieldx.reports.reason import reason, risk

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Report

HEADLINES = {
    Decision.APPROVE_FULL_DEPLOYMENT: ("good", "✓ Approved for full deployment"),
    Decision.APPROVE_CANARY: ("fair", "◐ Approved for a canary"),
    Decision.REJECT: ("bad", "✗ Rejected"),
}


def verdict_header(report: Report) -> Element:
    """The header. For an evaluation without a decision it shows how the evaluation ended."""
    tone, headline = ("bad", f"✗ {report.status.capitalize()}: {report.code.value.replace('_', ' ')}")
    if report.decision is not None:
        tone, headline = HEADLINES[report.decision]
    texts = [report.detail, reason(report)]
    if report.risk_level is not None:
        texts.append(f"Risk {report.risk_level.value}: {risk(report)}.")
    return element(
        "header",
        {},
        element("p", {"class": "kind"}, "Shadow evaluation of a rule"),
        element("h1", {}, rule_title(report)),
        element(
            "div",
            {"class": f"verdict {tone}"},
            element(
                "div",
                {},
                element("p", {"class": "decision"}, headline),
                *(element("p", {}, text) for text in texts if text),
            ),
            None if report.confidence is None else element("div", {}, confidence_bar(report.confidence)),
        ),
    )
