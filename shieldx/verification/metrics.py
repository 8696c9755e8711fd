"""The results of a verification for Prometheus, as a file for node_exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from shieldx.domains.audit.breaks import BreakKind
from shieldx.verification.export_file import CheckFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shieldx.domains.audit.joining import Verdict


def write_metrics(
    path: Path, verdicts: Mapping[str, Verdict], reconciliation: Mapping[str, int] | None, *, at_s: float
) -> None:
    """Write the verdicts by log name and, if the ledger was reconciled, its faults by check.

    `at_s` is the time of the verdicts in seconds since the epoch.

    Raises:
        CheckFile: The file cannot be written.
    """
    registry = CollectorRegistry()
    failures = Gauge(
        "audit_verification_failures",
        "Entries with a break",
        ("log", "kind"),
        registry=registry,
    )
    entries = Gauge("audit_verified_entries", "Entries that the last verification read", ("log",), registry=registry)
    ended = Gauge("audit_verification_timestamp_seconds", "When the last verification ended", registry=registry)
    ended.set(at_s)
    for log, verdict in verdicts.items():
        entries.labels(log).set(verdict.entries)
        found = Counter[BreakKind]()
        for each in verdict.breaks:
            found[each.kind] += each.entries
        for kind in BreakKind:  # includes kinds without breaks: an alert needs a series that was 0
            failures.labels(log, kind).set(found[kind])
    if reconciliation is not None:
        faults = Gauge(
            "audit_books_faults", "Faults found by reconciliation with the ledger", ("check",), registry=registry
        )
        for check, count in reconciliation.items():
            faults.labels(check).set(count)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise CheckFile(f"cannot write {path}: {error}") from error
