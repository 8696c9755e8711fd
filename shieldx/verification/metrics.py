"""What a verification found, for Prometheus: a file that node_exporter's textfile collector reads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from shieldx.domains.audit.breaks import Kind
from shieldx.verification.export_file import CheckFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shieldx.domains.audit.joining import Verdict


def write_metrics(path: Path, verdicts: Mapping[str, Verdict], books: Mapping[str, int] | None, *, at_s: float) -> None:
    """Write the verdicts on logs by name, and the faults of the books by check if they were looked at.

    `at_s` is when they were given, in seconds since the epoch.

    Raises:
        CheckFile: it cannot be written.
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
        found = Counter[Kind]()
        for each in verdict.breaks:
            found[each.kind] += each.entries
        for kind in Kind:  # also those that there are none of: an alert needs a series that was 0
            failures.labels(log, kind).set(found[kind])
    if books is not None:
        faults = Gauge("audit_books_faults", "Faults found by replaying the ledger", ("check",), registry=registry)
        for check, count in books.items():
            faults.labels(check).set(count)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise CheckFile(f"{path} cannot be written: {error}") from error
