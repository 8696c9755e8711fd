"""The quality of a rule set, as a summary and as a whole page."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from bench.grid import Grid
from shieldx.domains.shadow.report import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.shadow.data import RealData
    from shieldx.domains.shadow.report import Interval, Report

WORST = 12
"""The number of rules in the summary."""


def summary(real: RealData, reports: Sequence[Report]) -> list[str]:
    """What was imported, how many rules are perfect, and the worst ones."""
    recall_1 = sum(report.recall == 1 for report in reports)
    clean = sum(report.false_positive_rate == 0 for report in reports)
    both = sum(report.recall == 1 and report.false_positive_rate == 0 for report in reports)
    decisions = Counter(report.decision for report in reports)
    decided = ", ".join(f"{decisions[each]} `{each.value}`" for each in Decision)
    wrong = [report for report in reports if report.recall != 1 or report.false_positive_rate != 0]
    worst = sorted(wrong, key=lambda report: (report.f1_score or 0, report.rule_id))[:WORST]
    expected = sum(report.true_positives or 0 for report in reports), sum(map(_positives, reports))
    benign = sum(report.false_positives or 0 for report in reports), sum(map(_negatives, reports))
    return [
        *(f"- {source.in_words()}" for source in real.sources),
        f"- Rules: {len(reports)} judged, {len(real.not_evaluable)} not evaluable: {_reasons(real)}.",
        f"- {recall_1} rules have recall 1, {clean} have FPR 0, {both} have both. {decided}.",
        (
            f"- Of all rules together {expected[0]:,} of {expected[1]:,} positives fire, and {benign[0]:,} of "
            f"{benign[1]:,} negatives."
        ),
        "",
        f"The {len(worst)} with the lowest F1:",
        "",
        _grid(real, worst).markdown(),
    ]


def whole(real: RealData, reports: Sequence[Report]) -> list[str]:
    """One row per rule, and the rules that cannot be judged by reason."""
    by_reason = defaultdict(list)
    for rule in real.not_evaluable:
        by_reason[rule.reason].append(rule.rule_id)
    return [
        _grid(real, sorted(reports, key=lambda report: report.rule_id)).markdown(),
        "",
        "**Not evaluable**",
        "",
        Grid(
            "", ("reason", "rules"), [[reason, ", ".join(sorted(ids))] for reason, ids in by_reason.items()]
        ).markdown(),
    ]


def _grid(real: RealData, reports: Sequence[Report]) -> Grid:
    heading = ("rule", "PL", "positives", "recall", "95 %", "negatives", "FPR", "95 %", "decision")
    return Grid("rules", heading, [_row(real, report) for report in reports])


def _row(real: RealData, report: Report) -> list[str]:
    intervals = report.intervals or {}
    decision = "" if report.decision is None else report.decision.value
    paranoia = real.paranoia.get(report.rule_id)
    return [
        report.rule_id,
        "" if paranoia is None else str(paranoia),
        f"{_positives(report):,}",
        _share(report.recall, report.true_positives, _positives(report)),
        _between(intervals["recall"]),
        f"{_negatives(report):,}",
        _share(report.false_positive_rate, report.false_positives, _negatives(report)),
        _between(intervals["false_positive_rate"]),
        decision,
    ]


def _positives(report: Report) -> int:
    return (report.true_positives or 0) + (report.false_negatives or 0)


def _negatives(report: Report) -> int:
    return (report.false_positives or 0) + (report.true_negatives or 0)


def _share(rate: float | None, counted: int | None, of: int) -> str:
    """A rate, with its counts if it is neither 0 nor 1."""
    if rate is None:
        return ""
    return f"{rate:.0f}" if rate in {0, 1} else f"{rate:.3f} ({counted}/{of})"


def _between(interval: Interval) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _reasons(real: RealData) -> str:
    counts = Counter(rule.reason.partition(":")[0] for rule in real.not_evaluable)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
