"""Committed state beyond memory: the port that a domain reads it through, and hands its changes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class StateStore(Protocol):
    """Tables of bytes in the order of their keys, as the last checkpoint left them."""

    def tables(self) -> Collection[str]:
        """The names of the tables that exist."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value of a key; None also where the table does not exist."""

    def scan(self, table: str, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` on and below `stop`, with their values, in order."""


class StateBatch(Protocol):
    """What one checkpoint changes: all of it, or nothing."""

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set a key; a table begins to exist with its first one."""

    def delete(self, table: str, key: bytes) -> None:
        """Remove a key, if it is there."""

    def delete_range(self, table: str, start: bytes, stop: bytes) -> None:
        """Remove the keys from `start` on and below `stop`."""

    def drop(self, table: str) -> None:
        """Remove a table whole, if it is there; it may outlive a crash, so nothing may depend on its absence."""
