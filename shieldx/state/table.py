"""What the engine asks of a table, and how a domain declares one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from shieldx.state.forms import FORMAT_LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.undo_log import UndoLog

T_co = TypeVar("T_co", bound="Table", covariant=True)


class Change(msgspec.Struct, frozen=True, gc=False):
    """The last value of a table's key; without a value, the key is deleted."""

    topic: str
    key: bytes
    value: bytes | None
    kind: type[msgspec.Struct] | None = None
    """The type of the row, whose schema the record's header names; None for a packed form that bears its version."""


class Table(Protocol):
    """One table of a partition's state. Its changes are records of a topic, the changelog.

    With a store, memory needs to have only what the store has not taken yet.
    """

    @property
    def size_bytes(self) -> int:
        """About how much memory the table takes."""

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something in the table is due, or None."""

    def expire(self, at_ms: int, limit: int) -> bool:
        """Remove up to `limit` rows that have outlived their retention; returns whether there are more."""

    def changes(self) -> Iterator[Change]:
        """The last value of each key that changed since the last call."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take back one record of the changelog.

        Raises:
            UnknownForm: the record has a version that this release does not read.
        """

    def flush(self, batch: StateBatch) -> None:
        """Give the store everything that it has not taken yet. Called only when nothing is uncommitted."""

    def flushed(self, *, evict: bool) -> None:
        """The store has taken it. With `evict`, memory keeps nothing that the store has."""


@dataclass(frozen=True, kw_only=True)
class TableContext:
    """What a table is opened with."""

    partition: int = 0
    store: StateStore | None = None
    """State on disk as of the last checkpoint; None keeps everything in memory."""
    undo_log: UndoLog
    format_level: int = FORMAT_LEVEL
    """The level of stored forms to write."""


@dataclass(frozen=True)
class TableSpec(Generic[T_co]):
    """A table as a page declares it: the topic of its changelog, and how a partition of it is opened."""

    topic: str
    open: Callable[[TableContext], T_co]
