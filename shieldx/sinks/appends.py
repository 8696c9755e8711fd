"""Writes rows of an append-only table."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from itertools import islice
from operator import itemgetter, lt
from typing import TYPE_CHECKING, Any

from shieldx.sinks.stored_rows import check_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from asyncpg.pool import PoolConnectionProxy

    from shieldx.engine.declarations.sink import Months, SqlTable
    from shieldx.engine.tasks.log import Record

_Key = tuple[Any, ...]
_Values = tuple[Any, ...]


class KeyTaken(Exception):
    """Another row already has this key and stays. Compare the two, since one of them is wrong."""


class Appends:
    """Copies rows of one table, in one task. First looks up keys that may already exist.

    New keys are above the highest existing one unless a position was set back or the topic has a key twice. So the
    index is read once per task rather than once per row. After a failed transaction the highest key may be too high,
    which only costs a lookup.
    """

    def __init__(self, table: SqlTable) -> None:
        self._table = table
        self._schema, _, self._name = table.name.partition(".")
        self._columns = (*table.key, *table.columns)
        self._width = len(table.key)
        self._highest: _Key | None = None
        self._months = None if table.months is None else _Partitions(table.months, self._columns)

    async def prepare(self, connection: PoolConnectionProxy, rows: Sequence[_Values], *, wary: bool) -> None:
        """Create the partitions that the rows need, as part of the transaction. `wary` relies on none made earlier."""
        if self._months is not None:
            await self._months.make(connection, rows, wary=wary)

    async def write(
        self, connection: PoolConnectionProxy, rows: Sequence[_Values], records: Sequence[Record], *, wary: bool
    ) -> list[tuple[Record, KeyTaken]]:
        """Add rows, each with its source record. Returns the records whose keys other rows have.

        A row that already exists with equal columns is skipped. `wary` looks up every key.
        """
        if not wary and await self._all_are_new(connection, rows):
            await self._copy(connection, rows)
            self._highest = rows[-1][: self._width]
            return []
        there = await self._rows_with_keys_of(connection, rows)
        new, taken = self._sift(rows, records, there)
        if new:
            await self._copy(connection, new)
            self._highest = None
        return taken

    async def _copy(self, connection: PoolConnectionProxy, rows: Sequence[_Values]) -> None:
        done = await connection.copy_records_to_table(
            self._name, schema_name=self._schema, columns=self._columns, records=rows
        )
        check_stored(self._table.name, done, rows)

    async def _all_are_new(self, connection: PoolConnectionProxy, rows: Sequence[_Values]) -> bool:
        """Whether each key is above the previous one, and the first one above all existing ones."""
        keys = list(map(itemgetter(slice(self._width)), rows))
        if keys[0][:-1] != keys[-1][:-1] or not all(map(lt, keys, islice(keys, 1, None))):
            return False
        if self._highest is None or self._highest[:-1] != keys[0][:-1]:
            self._highest = await self._highest_there(connection, keys[0][:-1])
        return self._highest is None or self._highest < keys[0]

    async def _highest_there(self, connection: PoolConnectionProxy, within: _Key) -> _Key | None:
        *_, counter = self._table.key
        found = await connection.fetchval(
            f"SELECT {counter} FROM {self._table.name} WHERE {self._within()} ORDER BY {counter} DESC LIMIT 1",  # noqa: S608 - names from a page in agents/, values apart
            *within,
        )
        return None if found is None else (*within, found)

    async def _rows_with_keys_of(
        self, connection: PoolConnectionProxy, rows: Iterable[_Values]
    ) -> dict[_Key, list[_Values]]:
        """Rows by key. Several rows may have one key, in two months, if another program wrote to the table."""
        *_, counter = self._table.key
        query = (
            f"SELECT {', '.join(self._columns)} FROM {self._table.name} "  # noqa: S608 - as above
            f"WHERE {self._within()} AND {counter} = ANY(${self._width}::{self._table.key[counter]}[])"
        )
        wanted = defaultdict[_Key, list[Any]](list)
        for row in rows:
            wanted[row[: self._width - 1]].append(row[self._width - 1])
        there = defaultdict[_Key, list[_Values]](list)
        for within, counters in wanted.items():
            for found in await connection.fetch(query, *within, counters):
                there[tuple(found)[: self._width]].append(tuple(found))
        return there

    def _within(self) -> str:
        *names, _ = self._table.key.items()
        return " AND ".join(f"{name} = ${number}::{kind}" for number, (name, kind) in enumerate(names, 1)) or "true"

    def _sift(
        self, rows: Sequence[_Values], records: Sequence[Record], there: Mapping[_Key, list[_Values]]
    ) -> tuple[list[_Values], list[tuple[Record, KeyTaken]]]:
        """The rows with new keys, and the records of rows that differ from the existing row with their key."""
        new: dict[_Key, _Values] = {}
        taken: list[tuple[Record, KeyTaken]] = []
        for row, record in zip(rows, records, strict=True):
            key = row[: self._width]
            known = there.get(key) or ([new[key]] if key in new else [])
            if not known:
                new[key] = row
            elif row not in known:
                named = ", ".join(f"{name} {value}" for name, value in zip(self._table.key, key, strict=True))
                taken.append(
                    (record, KeyTaken(f"{self._table.name} already has another row with {named}, which stays"))
                )
        return list(new.values()), taken


class _Partitions:
    """The months whose partition this task has created."""

    def __init__(self, months: Months, columns: Sequence[str]) -> None:
        self._moment = itemgetter(columns.index(months.column))
        self._make = f"SELECT {months.make}($1::date)"
        self._made: set[date] = set()

    async def make(self, connection: PoolConnectionProxy, rows: Iterable[_Values], *, wary: bool) -> None:
        if wary:
            self._made.clear()
        for month in sorted(set(self._months_of(rows)) - self._made):
            await connection.execute(self._make, month)
            self._made.add(month)

    def _months_of(self, rows: Iterable[_Values]) -> Iterator[date]:
        moments: set[datetime] = set(map(self._moment, rows))
        return (moment.astimezone(UTC).date().replace(day=1) for moment in moments)
