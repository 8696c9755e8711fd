"""The state of one partition of an agent: its tables and timers, opened, restored and flushed together."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from shieldx.state.forms import FORMAT_LEVEL
from shieldx.state.table import TableContext
from shieldx.state.timers import Timers
from shieldx.state.undo_log import UndoLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import Change, Table, TableSpec

T = TypeVar("T", bound="Table")


class FoldContext:
    """What a fold is created with: handles of its tables, its timers, and the limits of its partition.

    `max_record_bytes` limits an output. `format_level` is the level of stored forms to write. Until the operator has
    finalised an upgrade, a fold must not use features that need a later level.
    """

    def __init__(self, state: PartitionState, *, partition: int, max_record_bytes: int, format_level: int) -> None:
        self._state = state
        self.partition = partition
        self.max_record_bytes = max_record_bytes
        self.format_level = format_level
        self.timers = state.timers
        self.undo_log = state.undo_log

    def table(self, spec: TableSpec[T]) -> T:
        """The handle of a table.

        Raises:
            LookupError: the page does not declare the table.
        """
        return self._state.table(spec)


class PartitionState:
    """The tables of a partition, as the engine handles them."""

    def __init__(
        self,
        specs: Iterable[TableSpec[Any]],
        partition: int = 0,
        store: StateStore | None = None,
        *,
        format_level: int = FORMAT_LEVEL,
    ) -> None:
        self._partition = partition
        self._format_level = format_level
        self.timers = Timers()
        self.undo_log = UndoLog()
        context = TableContext(partition=partition, store=store, undo_log=self.undo_log, format_level=format_level)
        self._tables: dict[str, Any] = {spec.topic: spec.open(context) for spec in specs}
        self._opened: tuple[Table, ...] = tuple(self._tables.values())

    def context(self, max_record_bytes: int = 1_000_000) -> FoldContext:
        """The context of this partition's fold, available once the tables are restored."""
        return FoldContext(
            self, partition=self._partition, max_record_bytes=max_record_bytes, format_level=self._format_level
        )

    def table(self, spec: TableSpec[T]) -> T:
        """The handle of a table.

        Raises:
            LookupError: the table is not declared.
        """
        try:
            table: T = self._tables[spec.topic]
        except KeyError:
            raise LookupError(f"table {spec.topic!r} is not declared; add it to `state` of the agent's page") from None
        return table

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something is due, or None."""
        due = [table.due_ms for table in self._opened]
        return min((at_ms for at_ms in (*due, self.timers.due_ms) if at_ms is not None), default=None)

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the state."""
        return sum([table.size_bytes for table in self._opened])

    def expire(self, at_ms: int, limit: int) -> bool:
        """Remove up to `limit` rows past their retention from each table. Returns whether there are more."""
        more = False
        for table in self._opened:
            more |= table.expire(at_ms, limit)
        return more

    def changes(self) -> Iterator[Change]:
        """The last value of each key of each table that changed since the last call."""
        return chain.from_iterable([table.changes() for table in self._opened])

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Restore one record of a changelog.

        Raises:
            UnknownForm: the record has a version that this release does not read.
        """
        self._tables[topic].restore(key, value)

    def flush(self, batch: StateBatch) -> None:
        """Write all changes to the store. There must be no uncommitted changes."""
        for table in self._opened:
            table.flush(batch)

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. With `evict`, remove from memory what the store has."""
        for table in self._opened:
            table.flushed(evict=evict)
