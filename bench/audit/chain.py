"""Generates a long chain of entries, as the ledger's commands produce them, in an exported file."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.audit.entry import FORMAT, GENESIS, AuditEntry, hashed_bytes, signed
from shieldx.domains.audit.manifest import Filter
from shieldx.domains.audit.record import encode
from shieldx.verification.export_writer import ExportWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = {"2026-01": b"k" * 32}
KEY_ID = "2026-01"


class Exported(NamedTuple):
    """A file, and the hashed bytes of each of its entries."""

    path: Path
    hashed: list[bytes]


def export(path: Path, entries: int) -> Exported:
    """Write a file with one shard."""
    hashed: list[bytes] = []
    with path.open("wb") as file:
        writer = ExportWriter(file)
        for entry in _chain(entries):
            hashed.append(hashed_bytes(entry))
            writer.add(entry.shard, entry, encode(entry))
        writer.finish(Filter(), KEYS, KEY_ID)
    return Exported(path, hashed)


def _chain(entries: int) -> Iterator[AuditEntry]:
    previous = GENESIS
    for sequence in range(entries):
        place = f"credits.commands/0/{sequence}"
        entry = signed(
            AuditEntry(
                format=FORMAT,
                shard=0,
                sequence=sequence,
                at="2026-01-01T12:00:00.000Z",
                tenant_id=f"org-{sequence % 100}",
                actor=None,
                action="credits.consume",
                subject=f"account/org-{sequence % 100}",
                outcome="ok",
                idempotency_key=place,
                occurred_at="2026-01-01T12:00:00.000Z",
                source=place,
                digest=sha256(place.encode()).hexdigest(),
                payload=None,
                input=f"audit.appends/0/{sequence}",
                key_id=KEY_ID,
                prev_hash=previous,
                hash="",
                mac="",
            ),
            KEYS,
        )
        previous = entry.hash
        yield entry
