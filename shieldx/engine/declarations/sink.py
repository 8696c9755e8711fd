"""Declares a sink, which writes the records of topics to SQL tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from shieldx.engine.declarations.agent import AgentKind
from shieldx.engine.declarations.sql_types import SQL_TYPES, misfit
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shieldx.classification import Classification
    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.messages import DeadLetterReason

SqlRow = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]
"""A table's name, the values of its key, and those of its other columns; None deletes the row."""


@dataclass(frozen=True, kw_only=True)
class Months:
    """How a table is partitioned by month (UTC): the time column, and the function that creates a partition.

    `make` is an SQL function that takes the first day of the month. It does nothing if the partition exists.
    """

    column: str
    make: str


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """An SQL table: its name with its schema, and the types of its key columns and of its other columns."""

    name: str
    key: Mapping[str, str]
    columns: Mapping[str, str]
    append_only: bool = False
    """Rows are never changed. Of two rows with one key the first stays, and the other is set aside.

    The last key column increases within a partition of the input. Reasons and logs quote keys.
    """
    months: Months | None = None
    """Only for append-only tables."""
    copies: str | None = None
    """The topic whose fields the columns of the same names have."""
    own_columns: Mapping[str, Classification] = field(default_factory=dict)
    """What its other columns are."""
    row_lifetime: str | None = None
    """Until when its rows stay, for people."""

    def __post_init__(self) -> None:
        """Refuse a type whose limits are unknown.

        Raises:
            FixConfiguration: a column has a type that is not in `SQL_TYPES`.
        """
        for column, kind in self._types.items():
            if kind not in SQL_TYPES:
                raise FixConfiguration(
                    f"column {column} of {self.name} has the type {kind!r}; sinks know {', '.join(SQL_TYPES)}"
                )

    def check(self, key: tuple[Any, ...], columns: tuple[Any, ...] | None) -> None:
        """Refuse a row, or the key of one to delete, that the columns cannot hold.

        Raises:
            ValueError: one of them cannot. The message names the column and quotes nothing.
            TypeError: the row has more or fewer columns, which is a defect of its page.
        """
        types, values = (self.key, key) if columns is None else (self._types, key + columns)
        if len(values) != len(types):
            raise TypeError(f"{self.name} has {len(types)} columns, and the row {len(values)}")
        for (column, kind), value in zip(types.items(), values, strict=True):
            if (what := misfit(kind, value)) is not None:
                raise ValueError(f"{column} {what}")

    @property
    def _types(self) -> dict[str, str]:
        return {**self.key, **self.columns}


@dataclass(frozen=True, kw_only=True)
class Sink:
    """Writes partition n of every input to SQL tables; rows and position commit in one database transaction."""

    name: str
    reads: tuple[str, ...]
    into: tuple[SqlTable, ...]
    rows: Callable[[str, int, int, bytes | None, bytes | None], Iterable[SqlRow]]
    """The rows of a record: (topic, partition, offset, key, value).

    Must be pure. Raises ValueError or a msgspec error if the record cannot be read.
    """
    tenants: Mapping[str, Callable[[bytes], str]] = field(default_factory=dict)
    """For tables among `reads` that have the last row of a key: the tenant of a key.

    A row that a tenant left behind when it moved to another partition is passed over: it would overwrite a later one.
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
