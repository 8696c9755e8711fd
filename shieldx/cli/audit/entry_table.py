"""Entries as table rows and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli.stdout import printable

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry

HEADINGS = ("entry", "at", "tenant", "actor", "action", "subject", "outcome")


def row(entry: AuditEntry) -> tuple[str | None, ...]:
    """The row of an entry."""
    return (
        f"{entry.shard}/{entry.sequence}",
        entry.at,
        entry.tenant_id,
        entry.actor,
        entry.action,
        entry.subject,
        entry.outcome,
    )


def line(entry: AuditEntry) -> str:
    """An entry as a line, since a table needs all rows to determine its column widths."""
    return "  ".join(printable(text) if text is not None else "-" for text in row(entry))


def entries_counted(number: int) -> str:
    """`1 entry`, `2 entries`."""
    return f"{number:,} entry" if number == 1 else f"{number:,} entries"
