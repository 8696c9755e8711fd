"""Where a report's figures come from: rule, samples, request and charge, as names and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.reason import targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.shadow.report import Charge, Report

HASH_SHOWN = 16


def provenance(report: Report, *, whole_hash: bool) -> list[tuple[str, str]]:
    """The known facts, in the order in which a reader would ask for them."""
    return [(name, value) for name, value in _facts(report, whole_hash=whole_hash) if value]


def rule_title(report: Report) -> str:
    """A rule's name, or its id if it has no name."""
    return report.rule_name or report.rule_id


def _facts(report: Report, *, whole_hash: bool) -> Iterator[tuple[str, str | None]]:
    version = "" if report.rule_version is None else f"version {report.rule_version}"
    yield "rule", ", ".join(filter(None, (report.rule_id, report.rule_name, report.rule_type, version)))
    yield "rule hash", report.rule_hash if whole_hash else (report.rule_hash or "")[:HASH_SHOWN]
    yield "tenant", report.tenant_id
    yield "evaluation", report.eval_id
    yield "outcomes from", report.cached_from and f"evaluation {report.cached_from} of the same rule and samples"
    yield "samples", _samples(report)
    yield (
        "truth",
        "the labels" if report.ground_truth is None else f"expectations for rule {report.ground_truth} in the samples",
    )
    yield "targets", targets(report)
    yield "charge", _charge(report.charge)
    yield "time", f"{report.timings.execution_time_ms:,} ms, reported {report.timings.reported_at}"


def _samples(report: Report) -> str:
    number = f"{report.sample_size:,} of " if report.sample_size else ""
    version = "" if report.sample_set_version is None else f", version {report.sample_set_version}"
    offsets = "" if report.sample_offsets is None else " at offsets {:,} to {:,}".format(*report.sample_offsets)
    return f"{number}{report.sample_set}{version}{offsets}, seed {report.seed}"


def _charge(charge: Charge) -> str:
    if charge.status == "none":
        return "none"
    held = "" if charge.reservation_id is None else f", reservation {charge.reservation_id}"
    return f"{charge.amount:,} {charge.status}{held}"
