"""What is remembered for a window of stream time: packed values by key digest, in buckets that are dropped whole."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.state.store import StateBatch, StateStore

HOUR_MS = 3_600_000
WINDOW_MS = 24 * HOUR_MS
BLOCK_BYTES = 256 * 1024
"""Values are written many to a record; well below a record's limit, so that a block is never refused."""
OVERHEAD_BYTES = 160
"""What CPython adds to an entry: two bytes objects and a slot of a dictionary that is a third to two thirds full. A
million consumes were measured at 236 bytes each, 96 of them digest and packed outcome."""

DIGEST_BYTES = 16
PERIOD_HOURS = 12
"""What a table of the store spans. Every new key is looked up in all of them: in three, where those of an hour would be
25."""
_ENTRY = struct.Struct(">16sI")
_HOUR = struct.Struct(">Q")


def key_digest(tenant_id: str, idempotency_key: str) -> bytes:
    """16 bytes for a tenant's key. The tenant's length comes first: `a` + `bc` must not equal `ab` + `c`."""
    return blake2b(f"{len(tenant_id)}:{tenant_id}{idempotency_key}".encode(), digest_size=DIGEST_BYTES).digest()


def body_digest(body: bytes) -> bytes:
    """16 bytes for what a message says."""
    return blake2b(body, digest_size=DIGEST_BYTES).digest()


class DeduplicationWindow:
    """Packed values by key digest, each kept for at least `WINDOW_MS` of stream time.

    With a store, memory has only what it has not taken yet; the store keeps them in tables of `PERIOD_HOURS`, and a
    value in it is forgotten with its hour, before its table is dropped. `at_ms_of` reads from a packed value when it
    was remembered.
    """

    def __init__(self, table: str, at_ms_of: Callable[[bytes], int], store: StateStore | None = None) -> None:
        self._prefix = f"{table}/"
        self._at_ms_of = at_ms_of
        self._store = store
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._unwritten: list[tuple[int, bytes, bytes]] = []
        names = [] if store is None else [name for name in store.tables() if name.startswith(self._prefix)]
        self._periods = sorted((int(name[len(self._prefix) :]) for name in names), reverse=True)
        self._first_hour = 0
        self.size_bytes = 0

    def find(self, digest: bytes) -> bytes | None:
        """What is remembered under a key digest."""
        for bucket in self._buckets.values():
            packed = bucket.get(digest)
            if packed is not None:
                return packed
        return None if self._store is None else self._fetch(self._store, digest)

    def remember(self, digest: bytes, packed: bytes, at_ms: int) -> None:
        """Keep a value."""
        hour = at_ms // HOUR_MS
        self._load(hour, digest, packed)
        self._unwritten.append((hour, digest, packed))

    def forget_last(self) -> None:
        """Take back the last call of `remember`, which must not have been written yet."""
        hour, digest, packed = self._unwritten.pop()
        del self._buckets[hour][digest]
        self.size_bytes -= len(packed) + OVERHEAD_BYTES + DIGEST_BYTES

    def drop_before(self, at_ms: int) -> None:
        """Drop the buckets whose last moment is a whole window ago."""
        first_hour = (at_ms - WINDOW_MS) // HOUR_MS
        if first_hour <= self._first_hour:
            return
        self._first_hour = first_hour
        for hour in [hour for hour in self._buckets if hour < first_hour]:
            self._discount(self._buckets.pop(hour))

    def flush(self, batch: StateBatch) -> None:
        """Give the store what it has not taken yet, and have it drop what is forgotten."""
        for hour, bucket in self._buckets.items():
            table = f"{self._prefix}{hour // PERIOD_HOURS}"
            for digest, packed in bucket.items():
                batch.put(table, digest, packed)
        for period in self._periods:
            if (period + 1) * PERIOD_HOURS <= self._first_hour:
                batch.drop(f"{self._prefix}{period}")

    def flushed(self) -> None:
        """The store has taken everything."""
        taken = {hour // PERIOD_HOURS for hour in self._buckets}
        kept = {period for period in self._periods if (period + 1) * PERIOD_HOURS > self._first_hour}
        self._periods = sorted(kept | taken, reverse=True)
        self._buckets.clear()
        self.size_bytes = 0

    def take_blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """What was remembered since the last call, as table records: many values of one hour in each."""
        block: list[bytes] = []
        size, first = 0, 0
        for hour, digest, packed in self._unwritten:
            if block and (hour != first or size > BLOCK_BYTES):
                yield _block(first, block)
                block, size = [], 0
            first = hour
            block.append(_ENTRY.pack(digest, len(packed)) + packed)
            size += len(block[-1])
        if block:
            yield _block(first, block)
        self._unwritten.clear()

    def load_block(self, value: bytes) -> None:
        """Read a table record back; stream time has come to its hour, so older buckets may be dropped."""
        (hour,) = _HOUR.unpack_from(value)
        self.drop_before(hour * HOUR_MS)
        if hour < self._first_hour:
            return
        at = _HOUR.size
        while at < len(value):
            digest, length = _ENTRY.unpack_from(value, at)
            at += _ENTRY.size
            self._load(hour, digest, value[at : at + length])
            at += length

    def _fetch(self, store: StateStore, digest: bytes) -> bytes | None:
        for period in self._periods:
            packed = store.get(f"{self._prefix}{period}", digest)
            if packed is not None and self._at_ms_of(packed) // HOUR_MS >= self._first_hour:
                return packed
        return None

    def _load(self, hour: int, digest: bytes, packed: bytes) -> None:
        self._buckets.setdefault(hour, {})[digest] = packed
        self.size_bytes += len(packed) + OVERHEAD_BYTES + DIGEST_BYTES

    def _discount(self, bucket: dict[bytes, bytes]) -> None:
        self.size_bytes -= sum(map(len, bucket.values())) + len(bucket) * (OVERHEAD_BYTES + DIGEST_BYTES)


def _block(hour: int, entries: list[bytes]) -> tuple[bytes, bytes]:
    """A record's key and value. The first key digest makes the record's key unique: nothing may compact it away."""
    return f"{hour}/{entries[0][:DIGEST_BYTES].hex()}".encode(), _HOUR.pack(hour) + b"".join(entries)
