"""The port to committed state on disk, through which tables read it and write their changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class StateStore(Protocol):
    """Tables of bytes in key order, as of the last checkpoint."""

    def tables(self) -> Collection[str]:
        """The names of the tables that exist."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value of a key; None also if the table does not exist."""

    def scan(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` up to but excluding `stop`, with their values, in order."""


class StateBatch(Protocol):
    """The changes of one checkpoint, which are applied atomically."""

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set a key. Creates the table if needed."""

    def delete(self, table: str, key: bytes) -> None:
        """Remove a key, if it exists."""

    def forget(self, table: str, key: bytes) -> None:
        """Remove a key, and once the batch is written its values from the disk. Takes long: it rewrites files."""

    def delete_range(self, table: str, start: bytes, stop: bytes) -> None:
        """Remove the keys from `start` up to but excluding `stop`."""

    def drop(self, table: str) -> None:
        """Remove a whole table, if it exists. It may reappear after a crash, so nothing may depend on its absence."""
