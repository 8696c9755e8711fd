"""Prometheus labels and values derived from the log's entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry


def entries(entry: AuditEntry) -> tuple[tuple[str, ...]]:
    """The shard. Action and outcome are chosen by appenders, so they could create too many series."""
    return ((str(entry.shard),),)


def head(entry: AuditEntry) -> tuple[tuple[str, ...], int]:
    """The shard and the sequence number of its last entry."""
    return (str(entry.shard),), entry.sequence
