"""Entries of the audit log as rows of SQL, and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.audit.entry import FORMAT, MOST_SEQUENCE, AuditEntry, digest_of
from shieldx.domains.audit.record import decode
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = "audit.entries"
KEY = {"shard": "integer", "sequence": "bigint"}
COLUMNS = {
    "logged_at": "timestamptz",
    "format": "smallint",
    "tenant_id": "text",
    "actor": "text",
    "action": "text",
    "subject": "text",
    "outcome": "text",
    "idempotency_key": "text",
    "occurred_at": "text",
    "source": "text",
    "digest": "text",
    "payload": "text",
    "input": "text",
    "key_id": "text",
    "prev_hash": "bytea",
    "hash": "bytea",
    "mac": "bytea",
    "exact": "bytea",
}
SELECT_COLUMNS = f"SELECT {', '.join([*KEY, *COLUMNS])} FROM {TABLE}"  # noqa: S608 - constants
"""All that `entry_of` needs."""
MONTHS_OF = "logged_at"
MAKE_PARTITION = "audit.make_partition"

Row = tuple[str, tuple[Any, ...], tuple[Any, ...]]

_NUL, _STAND_IN = "\0", "\ufffd"
_NUL_IN_JSON = b"\\u0000"
"""JSON has no other way to write U+0000. It is also part of a backslash, escaped, and the letters `u0000`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def rows(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> tuple[Row]:  # noqa: ARG001 - what every sink is given
    """The row of one record of `audit.log`.

    Raises:
        ValueError: it is no record that the audit log writes.
    """
    if value is None:
        raise ValueError("a tombstone: an entry of the audit log is never deleted")
    entry = decode(value)
    if entry.shard != partition:
        raise ValueError("the shard is not the partition")
    if key != b"%d/%d" % (partition, entry.sequence):
        raise ValueError("the key is not <shard>/<sequence>")
    return ((TABLE, (partition, entry.sequence), _columns(entry, value)),)


def entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """The entry that a row of `audit.entries` holds, its columns named as there.

    A row that somebody has edited leads to another entry than the log's, which its hash tells.

    Raises:
        ValueError: `exact` is not what the other columns show: somebody has edited either.
    """
    if not (0 <= row["sequence"] <= MOST_SEQUENCE and row["shard"] >= 0):
        raise ValueError("its shard or sequence is one that no entry has")
    if row["format"] != FORMAT:
        raise ValueError(f"format {row['format']} is not known; this is format {FORMAT}")
    exact: bytes | None = row["exact"]
    shown = AuditEntry(
        format=row["format"],
        shard=row["shard"],
        sequence=row["sequence"],
        at=_at(row["logged_at"]),
        tenant_id=row["tenant_id"],
        actor=row["actor"],
        action=row["action"],
        subject=row["subject"],
        outcome=row["outcome"],
        idempotency_key=row["idempotency_key"],
        occurred_at=row["occurred_at"],
        source=row["source"],
        digest=row["digest"],
        payload=row["payload"],
        input=row["input"],
        key_id=row["key_id"],
        prev_hash=row["prev_hash"].hex(),
        hash=row["hash"].hex(),
        mac=row["mac"].hex(),
    )
    return shown if exact is None else _exactly(shown, exact)


def _exactly(shown: AuditEntry, exact: bytes) -> AuditEntry:
    entry = decode(exact)
    if not _has_nul(entry) or _without_nul(entry) != shown:
        raise ValueError("`exact` is another entry than the one that the columns show")
    return entry


def _columns(entry: AuditEntry, value: bytes) -> tuple[Any, ...]:
    """All columns but the key's. Written out field by field: every entry of the ledger's full speed comes by here."""
    e, exact = entry, None
    if _NUL_IN_JSON in value and _has_nul(entry):
        e, exact = _without_nul(entry), value
    return (
        _logged_at(e.at),
        e.format,
        e.tenant_id,
        e.actor,
        e.action,
        e.subject,
        e.outcome,
        e.idempotency_key,
        e.occurred_at,
        e.source,
        e.digest,
        e.payload,
        e.input,
        e.key_id,
        _digest(e.prev_hash),
        _digest(e.hash),
        _digest(e.mac),
        exact,
    )


def _digest(text: str) -> bytes:
    digest = digest_of(text)
    if digest is None:
        raise ValueError("a hash or MAC is not 64 lower-case hexadecimal digits")
    return digest


@lru_cache(maxsize=1024)
def _logged_at(at: str) -> datetime:
    """Stream time, if it is written as stream time is written. Cached as `rfc3339` is: a batch has few times."""
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None or moment < _EPOCH or rfc3339((moment - _EPOCH) // _MS) != at:
        raise ValueError("`at` is not stream time in milliseconds, as the log writes it")
    return moment


@lru_cache(maxsize=1024)
def _at(moment: datetime) -> str:
    """The text of a stream time; one with microseconds, which somebody has edited, shows them."""
    ms, rest = divmod(moment - _EPOCH, _MS)
    return rfc3339(ms) if not rest else moment.astimezone(UTC).isoformat()


def _has_nul(entry: AuditEntry) -> bool:
    return any(isinstance(text, str) and _NUL in text for text in msgspec.structs.astuple(entry))


def _without_nul(entry: AuditEntry) -> AuditEntry:
    texts = {name: text for name, text in msgspec.structs.asdict(entry).items() if isinstance(text, str)}
    return msgspec.structs.replace(entry, **{name: text.replace(_NUL, _STAND_IN) for name, text in texts.items()})
