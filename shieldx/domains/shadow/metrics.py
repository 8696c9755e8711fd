"""Prometheus labels and values derived from evaluation reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.domains.shadow.report import Report

DURATION_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)


def result(report: Report) -> tuple[tuple[str, ...], ...]:
    """The result. A report that is sent again was already counted the first time."""
    if report.replayed:
        return ()
    return ((report.code.value if report.decision is None else report.decision.value,),)


def cache_hits(report: Report) -> tuple[tuple[str, ...], ...]:
    """One label set for a report that was made from another evaluation's outcomes."""
    return ((),) if report.cached_from is not None and not report.replayed else ()


def duration_s(report: Report) -> float | None:
    """The duration of an evaluation that was completed by judging samples."""
    if report.status != "completed" or report.cached_from is not None or report.replayed:
        return None
    return report.timings.execution_time_ms / 1000


def f1_score(report: Report) -> tuple[tuple[str, ...], float] | None:
    """The rule and its F1 score."""
    return None if report.f1_score is None else ((report.rule_id,), report.f1_score)
