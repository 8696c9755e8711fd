"""Decisions by key within a window of stream time: packed values by digest, in buckets that expire as a whole."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING

from shieldx.state.forms import MOVED, UnknownForm, check_version
from shieldx.state.table import Change, Divided, TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import TableContext

HOUR_MS = 3_600_000
WINDOW_MS = 24 * HOUR_MS
BLOCK_BYTES = 256 * 1024
"""A record holds many values, and stays well below the record limit so that the broker never rejects it."""
OVERHEAD_BYTES = 160
"""CPython's overhead per entry: two bytes objects and a slot of a dictionary that is between a third and two thirds
full. A million consumes took 236 bytes each, 96 of them digest and packed outcome."""

DIGEST_BYTES = 16
PERIOD_HOURS = 12
"""Period of a store's table. Each new key is looked up in three tables; one table per hour would need 25 lookups."""
BLOCK_VERSION = 1
_ENTRY = struct.Struct(">16sI")
_BLOCK = struct.Struct(">BBQ")
"""Version of the block, highest version of the values in it, hour."""


def key_digest(tenant_id: str, idempotency_key: str) -> bytes:
    """A 16-byte digest of a tenant's key. It includes the tenant's length: `a` + `bc` must not equal `ab` + `c`."""
    return blake2b(f"{len(tenant_id)}:{tenant_id}{idempotency_key}".encode(), digest_size=DIGEST_BYTES).digest()


def body_digest(body: bytes) -> bytes:
    """A 16-byte digest of a message."""
    return blake2b(body, digest_size=DIGEST_BYTES).digest()


def deduplication_window(
    topic: str,
    *,
    form: str,
    versions: Collection[int],
    at_ms_of: Callable[[bytes], int],
    moved: Callable[[int, bytes], bytes] = lambda _, packed: packed,
) -> TableSpec[DeduplicationWindow]:
    """Declare a deduplication window.

    Its values are packed by the domain: the first byte is a version, one of `versions`, and `at_ms_of` reads when a
    value was remembered. `form` names them in errors. `moved` gives a value as it is remembered in another partition
    than the given one, in which it was made; it may set the bit `MOVED` of the version.
    """
    return TableSpec(
        topic,
        lambda context: DeduplicationWindow(topic, form, versions, at_ms_of, context),
        divided=Divided.NOT_AT_ALL,
        moved=lambda partition, block: _moved_block(moved, partition, block),
    )


def _moved_block(moved: Callable[[int, bytes], bytes], partition: int, block: bytes) -> bytes:
    """A block of a partition as another one remembers it."""
    entries = [(digest, moved(partition, packed)) for digest, packed in _entries(block)]
    return block[: _BLOCK.size] + b"".join([_ENTRY.pack(digest, len(packed)) + packed for digest, packed in entries])


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The values of a block with their key digests."""
    at = _BLOCK.size
    while at < len(block):
        digest, length = _ENTRY.unpack_from(block, at)
        at += _ENTRY.size
        yield digest, block[at : at + length]
        at += length


class DeduplicationWindow:
    """Packed values by key digest, each kept for at least `WINDOW_MS` of stream time.

    With a store, memory holds only values that the store has not taken yet. The store keeps values in tables of
    `PERIOD_HOURS`. A value expires with its hour, before its table is dropped.
    """

    due_ms = None

    def __init__(
        self,
        topic: str,
        form: str,
        versions: Collection[int],
        at_ms_of: Callable[[bytes], int],
        context: TableContext,
    ) -> None:
        self._topic = topic
        self._prefix = f"{topic}/"
        self._form = form
        self._versions = frozenset(versions)
        self._at_ms_of = at_ms_of
        self._store = store = context.store
        self._undo_log = context.undo_log
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._unwritten: list[tuple[int, bytes, bytes]] = []
        names = [] if store is None else [name for name in store.tables() if name.startswith(self._prefix)]
        self._periods = sorted((int(name[len(self._prefix) :]) for name in names), reverse=True)
        self._first_hour = 0
        self.size_bytes = 0

    def find(self, digest: bytes) -> bytes | None:
        """The value of a key digest, or None."""
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
        if self._undo_log.active:
            self._undo_log.note(self._forget_last)

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - buckets are dropped whole
        """Drop the buckets whose end is a whole window ago."""
        self._drop_before_hour((at_ms - WINDOW_MS) // HOUR_MS)
        return False

    def changes(self) -> Iterator[Change]:
        """The values added since the last call. A record holds many values of one hour."""
        block: list[bytes] = []
        size = first = version = 0
        for hour, digest, packed in self._unwritten:
            if block and (hour != first or size > BLOCK_BYTES):
                yield self._block(first, version, block)
                block, size, version = [], 0, 0
            first, version = hour, max(version, packed[0] & ~MOVED)
            block.append(_ENTRY.pack(digest, len(packed)) + packed)
            size += len(block[-1])
        if block:
            yield self._block(first, version, block)
        self._unwritten.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:  # noqa: ARG002 - a block needs no key
        """Restore a block. Stream time has reached its hour, so older buckets are dropped.

        Raises:
            UnknownForm: the block, or a value in it, has a version that this release does not read.
        """
        if value is None:
            return
        form = f"a block of {self._topic}"
        check_version(form, value[0] if value else 0, (BLOCK_VERSION,))
        try:
            _, version, hour = _BLOCK.unpack_from(value)
            check_version(self._form, version, self._versions)
            self._drop_before_hour(hour - WINDOW_MS // HOUR_MS)
            if hour >= self._first_hour:
                self._load_all(hour, value)
        except struct.error as error:
            raise UnknownForm(form, "truncated", (BLOCK_VERSION,)) from error

    def flush(self, batch: StateBatch) -> None:
        """Write new values to the store, and drop its expired tables."""
        for hour, bucket in self._buckets.items():
            table = f"{self._prefix}{hour // PERIOD_HOURS}"
            for digest, packed in bucket.items():
                batch.put(table, digest, packed)
        for period in self._periods:
            if (period + 1) * PERIOD_HOURS <= self._first_hour:
                batch.drop(f"{self._prefix}{period}")

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - memory never keeps values that the store has
        """Note that the store has taken everything."""
        taken = {hour // PERIOD_HOURS for hour in self._buckets}
        kept = {period for period in self._periods if (period + 1) * PERIOD_HOURS > self._first_hour}
        self._periods = sorted(kept | taken, reverse=True)
        self._buckets.clear()
        self.size_bytes = 0

    def _load_all(self, hour: int, block: bytes) -> None:
        for digest, packed in _entries(block):
            self._load(hour, digest, packed)

    def _forget_last(self) -> None:
        """Undo the last call of `remember`, whose value is not written yet."""
        hour, digest, packed = self._unwritten.pop()
        del self._buckets[hour][digest]
        self.size_bytes -= len(packed) + OVERHEAD_BYTES + DIGEST_BYTES

    def _drop_before_hour(self, first_hour: int) -> None:
        if first_hour <= self._first_hour:
            return
        self._first_hour = first_hour
        for hour in [hour for hour in self._buckets if hour < first_hour]:
            bucket = self._buckets.pop(hour)
            self.size_bytes -= sum(map(len, bucket.values())) + len(bucket) * (OVERHEAD_BYTES + DIGEST_BYTES)

    def _fetch(self, store: StateStore, digest: bytes) -> bytes | None:
        for period in self._periods:
            packed = store.get(f"{self._prefix}{period}", digest)
            if packed is not None and self._at_ms_of(packed) // HOUR_MS >= self._first_hour:
                return packed
        return None

    def _load(self, hour: int, digest: bytes, packed: bytes) -> None:
        self._buckets.setdefault(hour, {})[digest] = packed
        self.size_bytes += len(packed) + OVERHEAD_BYTES + DIGEST_BYTES

    def _block(self, hour: int, version: int, entries: list[bytes]) -> Change:
        """A block as a record. The first key digest makes its key unique, so that compaction keeps every block."""
        key = f"{hour}/{entries[0][:DIGEST_BYTES].hex()}".encode()
        return Change(self._topic, key, _BLOCK.pack(BLOCK_VERSION, version, hour) + b"".join(entries))
