"""What a page in `agents/` declares that writes a topic's records to tables of SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from shieldx.engine.declarations.agent import AgentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shieldx.engine.declarations.agent import Made, Makers
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import DeadLetterReason

SqlRow = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]
"""A table's name, the values of its key, and those of its other columns; None deletes the row."""


@dataclass(frozen=True, kw_only=True)
class Months:
    """How a table is partitioned by month (UTC): the column that says the time, and what makes a partition.

    `make` is a function of SQL that takes the month's first day, and does nothing where the partition is there.
    """

    column: str
    make: str


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """A table of SQL: its name with its schema, and its columns with their types, those of the key apart."""

    name: str
    key: Mapping[str, str]
    columns: Mapping[str, str]
    append_only: bool = False
    """Rows are added and stay as they are: of two with one key the first one stays, and the other is set aside.

    The last column of the key counts up along a partition of the input. Keys are quoted in reasons and logs.
    """
    months: Months | None = None
    """For tables that are append-only."""


@dataclass(frozen=True, kw_only=True)
class Sink:
    """Partition n of every input goes to tables of SQL; rows and position commit in one database transaction."""

    name: str
    reads: tuple[str, ...]
    into: tuple[SqlTable, ...]
    rows: Callable[[str, int, int, bytes | None, bytes | None], Iterable[SqlRow]]
    """The rows of a record: (topic, partition, offset, key, value).

    Pure; ValueError or one of msgspec's errors says that the record cannot be read.
    """

    kind: ClassVar = AgentKind.SINK
    about: ClassVar = "Rows and the position commit in one database transaction."
    looks_up: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ()
    results: ClassVar[str | None] = None
    returns_to: ClassVar[tuple[str, ...]] = ()
    tables: ClassVar[tuple[str, ...]] = ()
    positions: ClassVar[str | None] = None
    sets_aside: ClassVar = False
    dead_letter_reasons: ClassVar[tuple[DeadLetterReason, ...]] = ()
    sends_replies: ClassVar = False
    uses_transactions: ClassVar = False
    needs_postgres: ClassVar = True
    parameters: ClassVar[tuple[str, ...]] = ()
    counters: ClassVar[tuple[Counter, ...]] = ()
    gauges: ClassVar[tuple[Gauge, ...]] = ()
    histograms: ClassVar[tuple[Histogram, ...]] = ()

    @property
    def sql_tables(self) -> tuple[str, ...]:
        """The names of its tables."""
        return tuple(table.name for table in self.into)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The same as `reads`."""
        return self.reads

    def make(self, makers: Makers[Made]) -> Made:
        """Have something made of it."""
        return makers.of_sink(self)
