"""A table of typed rows by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from shieldx.state.forms import check_version
from shieldx.state.row_key import parse_row_key, row_key
from shieldx.state.table import Change, TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.state.store import StateBatch
    from shieldx.state.table import TableContext

Row = TypeVar("Row", bound=msgspec.Struct)
Key = tuple[str, ...]

OBJECTS_PER_BYTE = 4
"""Estimated memory of a row's Python objects per byte of its JSON."""
UNMEASURED_BYTES = 200
"""Assumed size of a changed row until it is encoded; rows are measured when their transaction commits."""
_STORED_VERSION = 1
_STORED = bytes([_STORED_VERSION])
_END = b"\xff"
"""Greater than every key, since UTF-8 has no such byte."""

_encode = msgspec.json.Encoder().encode


def keyed_table(
    topic: str,
    row: Any,
    *,
    resident: bool = False,
    extra_bytes: Callable[[Any], int] = lambda _: 0,
    moved: Callable[[int, bytes], bytes] = lambda _, value: value,
    erasable: bool = False,
) -> TableSpec[KeyedTable[Any]]:
    """Declare a table of rows of one type, or of a union of tagged types.

    A `resident` table keeps every row in memory even with a store, for folds that keep indexes over all rows.
    `extra_bytes` estimates how much memory a fold uses per row in addition to the row itself. `moved` gives a row as
    another partition has it. A deleted row of an `erasable` table is gone from the disk too; see `TableSpec`.
    """
    decode = msgspec.json.Decoder(row).decode
    return TableSpec(
        topic,
        lambda context: KeyedTable(topic, decode, context, resident, extra_bytes, erasable),
        moved=moved,
        erasable=erasable,
    )


class KeyedTable(Generic[Row]):
    """Rows by key. A key is a tenant and, where a tenant has several rows, further parts."""

    due_ms = None

    def __init__(
        self,
        topic: str,
        decode: Callable[[bytes], Row],
        context: TableContext,
        resident: bool,
        extra_bytes: Callable[[Row], int],
        erasable: bool = False,
    ) -> None:
        self._topic = topic
        self._decode = decode
        self._store = context.store
        self._undo_log = context.undo_log
        self._resident = resident
        self._erasable = erasable
        self._extra_bytes = extra_bytes
        self._rows: dict[Key, Row | None] = {}
        """With a store, None hides a row that is still in the store."""
        self._sizes: dict[Key, int] = {}
        self._size_bytes = 0
        self._changed: dict[Key, None] = {}
        self._unflushed: set[Key] = set()
        self._replaced: set[Key] = set()
        """Keys whose rows were deleted, whatever was put since."""
        if resident and context.store is not None:
            for key, value in context.store.scan(topic, b"", _END):
                self._keep(parse_row_key(key), self._of_store(value), len(key) + len(value))

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the rows in memory."""
        return self._size_bytes + len(self._changed) * UNMEASURED_BYTES

    def get(self, *key: str) -> Row | None:
        """The row of a key, or None."""
        try:
            return self._rows[key]
        except KeyError:
            return None if self._store is None or self._resident else self._fetch(key)

    def put(self, row: Row, *key: str) -> None:
        """Set the row of a key."""
        self._set(key, row)

    def delete(self, *key: str) -> None:
        """Remove the row of a key, if there is one. A row that is put afterwards leaves nothing of it in the store."""
        self._replaced.add(key)
        self._set(key, None)

    def items(self, *prefix: str) -> Iterator[tuple[Key, Row]]:
        """All rows whose keys begin with the given parts, in no particular order."""
        length = len(prefix)
        for key, row in self._rows.items():
            if row is not None and key[:length] == prefix:
                yield key, row
        if self._store is None or self._resident:
            return
        start = row_key(*prefix) if prefix else b""
        for name, value in self._store.scan(self._topic, start, start + _END):
            key = parse_row_key(name)
            if key not in self._rows and key[:length] == prefix:
                yield key, self._of_store(value)

    def rows(self, *prefix: str) -> Iterator[Row]:
        """All rows whose keys begin with the given parts, in no particular order."""
        return (row for _, row in self.items(*prefix))

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - rows stay until they are deleted
        """Nothing is due."""
        return False

    def changes(self) -> Iterator[Change]:
        """The last value of each key that changed since the last call."""
        for key in self._changed:
            row, name = self._rows.get(key), row_key(*key)
            value = None if row is None else _encode(row)
            self._measure(key, row, 0 if value is None else len(name) + len(value))
            yield Change(self._topic, name, value, None if row is None else type(row))
        self._changed.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog."""
        parts, row = parse_row_key(key), None if value is None else self._decode(value)
        self._keep(parts, row, 0 if value is None else len(key) + len(value))
        if self._store is not None:
            self._unflushed.add(parts)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        for key in self._unflushed:
            row = self._rows.get(key)
            if self._erasable and (row is None or key in self._replaced):
                batch.forget(self._topic, row_key(*key))
            elif row is None:
                batch.delete(self._topic, row_key(*key))
            if row is not None:
                batch.put(self._topic, row_key(*key), _STORED + _encode(row))

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. With `evict`, remove from memory what the store has."""
        for key in self._unflushed:
            if self._rows.get(key) is None:
                self._rows.pop(key, None)
        self._unflushed.clear()
        self._replaced.clear()
        if evict and not self._resident:
            self._rows.clear()
            self._sizes.clear()
            self._size_bytes = 0

    def _set(self, key: Key, row: Row | None) -> None:
        if self._undo_log.active:
            before, changed = self.get(*key), key in self._changed
            self._undo_log.note(lambda: self._take_back(key, before, changed=changed))
        self._changed[key] = None
        self._assign(key, row)

    def _take_back(self, key: Key, row: Row | None, *, changed: bool) -> None:
        self._assign(key, row)
        if not changed:
            self._changed.pop(key, None)

    def _assign(self, key: Key, row: Row | None) -> None:
        if self._store is not None:
            self._rows[key] = row
            self._unflushed.add(key)
        elif row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row

    def _keep(self, key: Key, row: Row | None, size: int) -> None:
        if row is None and self._store is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row
        self._measure(key, row, size)

    def _measure(self, key: Key, row: Row | None, size: int) -> None:
        self._size_bytes -= self._sizes.pop(key, 0)
        if row is not None:
            self._sizes[key] = size = size * OBJECTS_PER_BYTE + self._extra_bytes(row)
            self._size_bytes += size

    def _fetch(self, key: Key) -> Row | None:
        assert self._store is not None  # noqa: S101 - checked by the caller
        name = row_key(*key)
        value = self._store.get(self._topic, name)
        if value is None:
            return None
        row = self._of_store(value)
        self._keep(key, row, len(name) + len(value))
        return row

    def _of_store(self, value: bytes) -> Row:
        check_version(f"a row of {self._topic} on disk", value[0], (_STORED_VERSION,))
        return self._decode(value[1:])
