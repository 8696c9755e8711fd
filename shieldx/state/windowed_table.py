"""A table of typed rows by key and window of time: tumbling or hopping, as Kafka Streams names them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from shieldx.state.keyed_table import KeyedTable
from shieldx.state.row_key import parse_row_key, row_key
from shieldx.state.table import TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.state.keyed_table import Key
    from shieldx.state.store import StateBatch
    from shieldx.state.table import Change, TableContext

Row = TypeVar("Row", bound=msgspec.Struct)

_START = struct.Struct(">Q")


def windowed_table(
    topic: str,
    row: Any,
    *,
    size_ms: int,
    advance_ms: int | None = None,
    grace_ms: int = 0,
    retention_ms: int = 0,
) -> TableSpec[WindowedTable[Any]]:
    """Declare a table of rows by key and window.

    Windows are `size_ms` long and begin at multiples of `advance_ms`: tumbling windows if it is unset, hopping ones if
    it is shorter. A window takes late rows until `grace_ms` of stream time after its end. Its rows are deleted
    `retention_ms` of stream time after its end, or at the end of its grace period if that is later.

    Raises:
        ValueError: windows would have no length, or gaps between them.
    """
    advance_ms = size_ms if advance_ms is None else advance_ms
    if not 0 < advance_ms <= size_ms:
        raise ValueError(f"windows of {size_ms} ms cannot advance by {advance_ms} ms")
    decode = msgspec.json.Decoder(row).decode
    keep_ms = max(grace_ms, retention_ms)
    return TableSpec(
        topic, lambda context: WindowedTable(topic, decode, context, size_ms, advance_ms, grace_ms, keep_ms)
    )


class Window(Generic[Row]):
    """The rows of one window, by key."""

    __slots__ = ("_table", "end_ms", "start_ms")

    def __init__(self, table: WindowedTable[Row], start_ms: int, end_ms: int) -> None:
        self._table = table
        self.start_ms = start_ms
        self.end_ms = end_ms

    def get(self, *key: str) -> Row | None:
        """The row of a key, or None."""
        return self._table.get(self.start_ms, *key)

    def put(self, row: Row, *key: str) -> None:
        """Set the row of a key."""
        self._table.put(self.start_ms, row, *key)


class WindowedTable(Generic[Row]):
    """Rows by key and start of a window. The changelog's keys end with the start, in milliseconds since the epoch."""

    def __init__(
        self,
        topic: str,
        decode: Callable[[bytes], Row],
        context: TableContext,
        size_ms: int,
        advance_ms: int,
        grace_ms: int,
        keep_ms: int,
    ) -> None:
        self._rows: KeyedTable[Row] = KeyedTable(topic, decode, context, resident=False, extra_bytes=lambda _: 0)
        self._store = context.store
        self._undo_log = context.undo_log
        self._index = f"{topic}/starts"
        """Table of the store: starts of windows and row keys, in order of expiry."""
        self._size_ms = size_ms
        self._advance_ms = advance_ms
        self._grace_ms = grace_ms
        self._keep_ms = keep_ms
        self._stream_time_ms = 0
        self._keys: dict[int, set[Key]] = {}
        """Keys by start of their window; with a store, only those that it has not taken."""
        self._swept = b""
        """Every earlier index entry belongs to a deleted row."""
        self._first_stored_ms: int | None = None
        self._knows_first_stored = False

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the rows in memory."""
        return self._rows.size_bytes

    @property
    def due_ms(self) -> int | None:
        """When the rows of the oldest window are deleted."""
        starts = [start for start in (min(self._keys, default=None), self._first_stored()) if start is not None]
        return min(starts) + self._size_ms + self._keep_ms if starts else None

    def at(self, event_ms: int) -> list[Window[Row]]:
        """The windows that contain a time and still take rows, the oldest first; none if the time is too late."""
        first = max(0, (event_ms - self._size_ms) // self._advance_ms + 1) * self._advance_ms
        return [
            Window(self, start_ms, start_ms + self._size_ms)
            for start_ms in range(first, event_ms + 1, self._advance_ms)
            if self._stream_time_ms < start_ms + self._size_ms + self._grace_ms
        ]

    def get(self, start_ms: int, *key: str) -> Row | None:
        """The row of a window and key, or None."""
        return self._rows.get(*key, str(start_ms))

    def put(self, start_ms: int, row: Row, *key: str) -> None:
        """Set the row of a window and key."""
        full = (*key, str(start_ms))
        self._rows.put(row, *full)
        keys = self._keys.setdefault(start_ms, set())
        if full not in keys:
            keys.add(full)
            if self._undo_log.active:
                self._undo_log.note(lambda: self._forget(start_ms, full))

    def items(self, *prefix: str) -> Iterator[tuple[Key, int, Row]]:
        """Key, start of the window, and row of all rows whose keys begin with the given parts."""
        for full, row in self._rows.items(*prefix):
            yield full[:-1], int(full[-1]), row

    def expire(self, at_ms: int, limit: int) -> bool:
        """Delete up to `limit` rows of windows past their retention. Returns whether there are more."""
        self._stream_time_ms = at_ms
        due_ms = self.due_ms
        if due_ms is None or due_ms > at_ms:
            return False
        last_ms = at_ms - self._size_ms - self._keep_ms
        left = limit - self._expire_in_memory(last_ms, limit)
        return left <= 0 or self._expire_in_store(last_ms, left)

    def changes(self) -> Iterator[Change]:
        """The last value of each key that changed since the last call."""
        return self._rows.changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog."""
        self._rows.restore(key, value)
        full = parse_row_key(key)
        start_ms = int(full[-1])
        if value is not None:
            self._keys.setdefault(start_ms, set()).add(full)
        elif start_ms in self._keys:
            self._forget(start_ms, full)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        self._rows.flush(batch)
        for start_ms, keys in self._keys.items():
            for full in keys:
                batch.put(self._index, _START.pack(start_ms) + row_key(*full), b"")
        if self._swept:
            batch.delete_range(self._index, b"", self._swept)

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. With `evict`, remove from memory what the store has."""
        self._rows.flushed(evict=evict)
        self._keys.clear()
        self._knows_first_stored = False

    def _forget(self, start_ms: int, full: Key) -> None:
        self._keys[start_ms].discard(full)
        if not self._keys[start_ms]:
            del self._keys[start_ms]

    def _expire_in_memory(self, last_ms: int, limit: int) -> int:
        deleted = 0
        for start_ms in sorted(start for start in self._keys if start <= last_ms):
            keys = self._keys[start_ms]
            while keys and deleted < limit:
                self._rows.delete(*keys.pop())
                deleted += 1
            if keys:
                return deleted
            del self._keys[start_ms]
        return deleted

    def _expire_in_store(self, last_ms: int, limit: int) -> bool:
        if self._store is None:
            return False
        for deleted, (name, _) in enumerate(self._store.scan(self._index, self._swept, _START.pack(last_ms + 1))):
            if deleted == limit:
                return True
            self._rows.delete(*parse_row_key(name[_START.size :]))
            self._swept = name + b"\0"
            self._knows_first_stored = False
        return False

    def _first_stored(self) -> int | None:
        """The start of the oldest window with rows in the store."""
        if self._store is not None and not self._knows_first_stored:
            first = next(iter(self._store.scan(self._index, self._swept, b"\xff" * 9)), None)
            self._first_stored_ms = None if first is None else _START.unpack_from(first[0])[0]
            self._knows_first_stored = True
        return self._first_stored_ms
