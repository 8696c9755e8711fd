"""What the log's metrics say of its entries, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry


def entries(entry: AuditEntry) -> tuple[tuple[str, ...]]:
    """The shard. Appenders choose action and outcome, of which there may be more than series should be."""
    return ((str(entry.shard),),)


def head(entry: AuditEntry) -> tuple[tuple[str, ...], int]:
    """The shard, and the sequence number of its last entry."""
    return (str(entry.shard),), entry.sequence
