"""The interface of a table, and its declaration by a domain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from shieldx.state.forms import FORMAT_LEVEL
from shieldx.state.row_key import tenant_of_row

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
    """The type of the row, whose schema the record's header names; None for a packed form, which has a version."""


class Table(Protocol):
    """One table of a partition's state. Its changes are records of a topic, the changelog.

    With a store, memory needs to hold only changes that the store has not taken yet.
    """

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the table."""

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something in the table is due, or None."""

    def expire(self, at_ms: int, limit: int) -> bool:
        """Remove up to `limit` rows past their retention. Returns whether there are more."""

    def changes(self) -> Iterator[Change]:
        """The last value of each key that changed since the last call."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog.

        Raises:
            UnknownForm: the record has a version that this release does not read.
        """

    def flush(self, batch: StateBatch) -> None:
        """Write all changes to the store. Called only if there are no uncommitted changes."""

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. With `evict`, remove from memory what the store has."""


@dataclass(frozen=True, kw_only=True)
class TableContext:
    """The arguments with which a table is opened."""

    partition: int = 0
    store: StateStore | None = None
    """State on disk as of the last checkpoint; None keeps everything in memory."""
    undo_log: UndoLog
    format_level: int = FORMAT_LEVEL
    """The level of stored forms to write."""


class Divided(StrEnum):
    """How the rows of a partition's table are divided among the parts when the partition is split."""

    BY_TENANT = "by tenant"
    """A row belongs to a tenant, and moves with it."""
    NOT_AT_ALL = "not at all"
    """Rows do not tell whose they are: each part has all of them."""
    STAYS = "stays"
    """Rows belong to the partition itself."""


@dataclass(frozen=True)
class TableSpec(Generic[T_co]):
    """The declaration of a table: the topic of its changelog, and a function that opens a partition of it."""

    topic: str
    open: Callable[[TableContext], T_co]
    divided: Divided = Divided.BY_TENANT
    tenant_of: Callable[[bytes], str] = tenant_of_row
    """The tenant of a row, from its key."""
    moved: Callable[[int, bytes], bytes] = lambda _, value: value
    """The value of a row as another partition has it, from the partition that it moves out of, and the value there."""
    erasable: bool = False
    """Whether a deleted row must be gone from the disk. Rows of tenants that moved to another partition are then
    deleted where they were. Not for tables that sinks read: they could see that deletion last."""
