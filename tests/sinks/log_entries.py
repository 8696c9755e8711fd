"""Records of the audit log, as its sink reads them, and what the sink has made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.audit.entry import FORMAT, GENESIS, AuditEntry, signed
from shieldx.domains.audit.projections import COLUMNS, KEY, TABLE, entry_of
from shieldx.domains.audit.tables import LOG
from shieldx.messages import rfc3339
from tests.databases import query
from tests.sinks.ledger_rows import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYS = {"k1": b"1" * 32}
AT_MS = 1_767_268_800_000
"""Noon of the first of January 2026."""
DAY_MS = 86_400_000


def entry(sequence: int, prev_hash: str = GENESIS, *, shard: int = 0, at_ms: int = AT_MS, **fields: Any) -> AuditEntry:
    given: dict[str, Any] = {
        "format": FORMAT,
        "shard": shard,
        "sequence": sequence,
        "at": rfc3339(at_ms),
        "tenant_id": "acme",
        "actor": "alice" if sequence % 2 else None,
        "action": "user.login",
        "subject": f"user/{sequence}",
        "outcome": "ok",
        "idempotency_key": f"{shard}-{sequence}",
        "occurred_at": "yesterday",
        "source": None,
        "digest": None,
        "payload": '{ "é": "\\u0000" }' if sequence % 3 else None,
        "input": f"audit.appends/{shard}/{sequence}",
        "key_id": "k1",
        "prev_hash": prev_hash,
        "hash": "",
        "mac": "",
    }
    return signed(AuditEntry(**given | fields), KEYS)


def chain(number: int, *, shard: int = 0, step_ms: int = 1000) -> list[AuditEntry]:
    """Entries of a shard from its first on, so much stream time apart."""
    entries: list[AuditEntry] = []
    for sequence in range(number):
        prev_hash = entries[-1].hash if entries else GENESIS
        entries.append(entry(sequence, prev_hash, shard=shard, at_ms=AT_MS + sequence * step_ms))
    return entries


def record(offset: int, logged: AuditEntry) -> Record:
    key = f"{logged.shard}/{logged.sequence}".encode()
    return Record(LOG, logged.shard, offset, key, msgspec.json.encode(logged))


def records(entries: Iterable[AuditEntry]) -> list[Record]:
    return [record(offset, logged) for offset, logged in enumerate(entries)]


async def mirrored(dsn: str) -> list[AuditEntry]:
    """All entries in Postgres, in the log's order."""
    columns = (*KEY, *COLUMNS)
    rows = await query(dsn, f"SELECT {', '.join(columns)} FROM {TABLE} ORDER BY shard, sequence, logged_at")  # noqa: S608 - constants
    return [entry_of(dict(zip(columns, row, strict=True))) for row in rows]
