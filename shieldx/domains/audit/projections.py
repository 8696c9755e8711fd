"""Converts entries of the audit log to SQL rows and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.classification import NEITHER, PAYLOAD
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
OWN_COLUMNS = {"logged_at": NEITHER, "exact": PAYLOAD}
SELECT_COLUMNS = f"SELECT {', '.join([*KEY, *COLUMNS])} FROM {TABLE}"  # noqa: S608 - constants
"""Selects everything that `entry_of` needs."""
MONTHS_OF = "logged_at"
MAKE_PARTITION = "audit.make_partition"

Row = tuple[str, tuple[Any, ...], tuple[Any, ...]]

_NUL, _STAND_IN = "\0", "\ufffd"
_NUL_IN_JSON = b"\\u0000"
"""The only way to write U+0000 in JSON. It also occurs after an escaped backslash, followed by the letters `u0000`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def rows(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> tuple[Row]:  # noqa: ARG001 - the signature of every sink
    """The row for one record of `audit.log`.

    Raises:
        ValueError: The audit log never writes such a record.
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
    """The entry in a row of `audit.entries`, whose columns have the names of the table.

    If a row was edited, the result differs from the log's entry, which its hash reveals.

    Raises:
        ValueError: `exact` does not match the other columns: one of them was edited.
    """
    if not (0 <= row["sequence"] <= MOST_SEQUENCE and row["shard"] >= 0):
        raise ValueError("its shard or sequence is out of range")
    if row["format"] != FORMAT:
        raise ValueError(f"unknown format {row['format']}; expected {FORMAT}")
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
        raise ValueError("`exact` is a different entry from the other columns")
    return entry


def _columns(entry: AuditEntry, value: bytes) -> tuple[Any, ...]:
    """All columns except the key. Written field by field for speed: every entry of the ledger passes here."""
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
    """The stream time, if it is in the log's format. Cached like `rfc3339`, since a batch has few distinct times."""
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None or moment < _EPOCH or rfc3339((moment - _EPOCH) // _MS) != at:
        raise ValueError("`at` is not stream time in milliseconds, as the log writes it")
    return moment


@lru_cache(maxsize=1024)
def _at(moment: datetime) -> str:
    """The text of a stream time. If it was edited to have microseconds, the text shows them."""
    ms, rest = divmod(moment - _EPOCH, _MS)
    return rfc3339(ms) if not rest else moment.astimezone(UTC).isoformat()


def _has_nul(entry: AuditEntry) -> bool:
    return any(isinstance(text, str) and _NUL in text for text in msgspec.structs.astuple(entry))


def _without_nul(entry: AuditEntry) -> AuditEntry:
    texts = {name: text for name, text in msgspec.structs.asdict(entry).items() if isinstance(text, str)}
    return msgspec.structs.replace(entry, **{name: text.replace(_NUL, _STAND_IN) for name, text in texts.items()})
