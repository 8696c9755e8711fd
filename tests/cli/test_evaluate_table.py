from __future__ import annotations

import pytest

from shieldx.cli.shadow.report_table import print_report
from shieldx.cli.shadow.text_bar import WIDTH, text_bar
from shieldx.domains.shadow.report import Category, Recommendation
from tests.reports.example_reports import USUAL, completed, judged_of, refused


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_report_is_printed_from_its_decision_to_its_recommendations(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(completed(judged_of(USUAL, compared=[False] * 1000)))
    lines = [line.rstrip() for line in printed(capsys).splitlines()]
    assert lines[0] == "APPROVE_CANARY, confidence 73.78 %, risk MEDIUM"
    assert "rule           sqli-1, union select, signature, version 3" in lines
    assert "targets        false positive rate at most 1 %, recall at least 80 %" in lines
    assert "charge         1,000 committed, reservation shadow/e1" in lines
    assert "rule latency   p50 6.0 µs, p95 10.5 µs, p99 10.9 µs" in lines
    assert ["should", "fire", "479", "21"] in [line.split() for line in lines]
    assert ["recall", "95.80", "%", "93.66", "–", "97.24", "%"] in [line.split() for line in lines]  # noqa: RUF001 - as shown
    assert any(line.startswith("xss") and "····├──●───┤·····" in line for line in lines)
    assert "479 judged correctly only by this rule, 3 only by version 2; McNemar's p < 0.0001" in lines
    assert "1. Narrow the rule: it fires on 3 of 500 negatives in browsing" in lines
    assert "   made.yaml#997, made.yaml#998, made.yaml#999" in lines


def test_a_refused_evaluation_says_why_and_has_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(refused())
    lines = printed(capsys).splitlines()
    assert lines[:2] == [
        "refused: unknown_sample_set",
        "unknown sample set 'default': import it with `shieldx samples import`",
    ]
    assert not any(line.startswith(("figure", "samples that", "rule latency")) for line in lines)


def test_user_input_is_never_printed_with_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b]0;title\x07[red]"
    category = Category(category=bad, positive=True, samples=1, fired=1, rate=1.0, interval=(0.2, 1.0))
    advice = Recommendation(advice=bad, samples=(bad,), samples_total=12)
    print_report(completed(rule_name=bad, categories=(category,), recommendations=(advice,)))
    print_report(refused(detail=bad))
    out = printed(capsys)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert out.count("\\x1b]0;title\\x07[red]") == len(["rule", "category", "advice", "sample", "detail"])
    assert "and 11 more" in out


@pytest.mark.parametrize(
    ("rate", "interval", "top", "bar"),
    [
        (0.5, (0.25, 0.75), 1.0, "····├───●───┤····"),
        (0.0, (0.0, 1.0), 1.0, "●───────────────┤"),
        (1.0, (1.0, 1.0), 1.0, "················●"),
        (0.05, (0.05, 0.05), 0.1, "········●········"),
    ],
)
def test_a_bar_has_the_rate_between_the_ends_of_its_interval(
    rate: float, interval: tuple[float, float], top: float, bar: str
) -> None:
    assert text_bar(rate, interval, top=top) == bar
    assert len(bar) == WIDTH
