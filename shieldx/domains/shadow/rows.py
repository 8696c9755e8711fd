"""What has changed in the agent's tables: for their topics after each batch, and for the store at each checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.messages import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.state.store import StateBatch

_encode = msgspec.json.Encoder().encode
_OBJECTS_PER_BYTE = 4
"""What a row takes in memory as Python objects, for each byte of its JSON; about."""


class Rows:
    """The last value of each key that was put, deleted or restored since it was last asked for.

    With `keeps_for_store`, until the store has taken it as well.
    """

    def __init__(self, *, keeps_for_store: bool) -> None:
        self._keeps_for_store = keeps_for_store
        self._changed: dict[tuple[str, bytes], bytes | None] = {}
        self._unflushed: dict[tuple[str, bytes], bytes | None] = {}
        self._lengths: dict[tuple[str, bytes], int] = {}
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """About how much memory all rows take."""
        return self._bytes * _OBJECTS_PER_BYTE

    def put(self, topic: str, key: bytes, row: msgspec.Struct) -> None:
        """A row has a new value."""
        value = self._changed[topic, key] = _encode(row)
        self._measure(topic, key, value)

    def delete(self, topic: str, key: bytes) -> None:
        """A row is gone."""
        self._changed[topic, key] = None
        self._measure(topic, key, None)

    def restored(self, topic: str, key: bytes, value: bytes | None) -> None:
        """A row was read from its topic; the store may not have it yet."""
        self._measure(topic, key, value)
        if self._keeps_for_store:
            self._unflushed[topic, key] = value

    def stored(self, topic: str, key: bytes, value: bytes) -> None:
        """A row was read from the store."""
        self._measure(topic, key, value)

    def take_changes(self) -> Iterator[Change]:
        """What was put and deleted since the last call."""
        changed, self._changed = self._changed, {}
        if self._keeps_for_store:
            self._unflushed |= changed
        for (topic, key), value in changed.items():
            yield Change(topic, key, value)

    def flush(self, batch: StateBatch) -> None:
        """Give the store what it has not taken yet."""
        for (topic, key), value in self._unflushed.items():
            if value is None:
                batch.delete(topic, key)
            else:
                batch.put(topic, key, value)

    def flushed(self) -> None:
        """The store has taken it."""
        self._unflushed.clear()

    def _measure(self, topic: str, key: bytes, value: bytes | None) -> None:
        self._bytes -= self._lengths.pop((topic, key), 0)
        if value is not None:
            length = self._lengths[topic, key] = len(key) + len(value)
            self._bytes += length
