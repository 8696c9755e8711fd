"""The tables of a sink, each written as its page declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.sinks.appends import Appends
from shieldx.sinks.upserts import RowSet, Upserts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncpg.pool import PoolConnectionProxy

    from shieldx.engine.declarations.sink import SqlRow, SqlTable
    from shieldx.engine.tasks.log import Record
    from shieldx.sinks.appends import KeyTaken


class SinkRows:
    """What some records come to: rows to insert or replace, and rows to append with the records they come from."""

    def __init__(self, tables: Iterable[SqlTable]) -> None:
        self.replaced = RowSet()
        self.appended: dict[str, tuple[list[tuple[Any, ...]], list[Record]]] = {
            table.name: ([], []) for table in tables if table.append_only
        }

    def add(self, record: Record, rows: Iterable[SqlRow]) -> None:
        """Add the rows of a record, which come after all that were added.

        Raises:
            ValueError: a row is deleted from an append-only table.
        """
        for row in rows:
            table, key, columns = row
            appended = self.appended.get(table)
            if appended is None:
                self.replaced.add(row)
            elif columns is None:
                raise ValueError(f"a deletion from the append-only table {table}")
            else:
                appended[0].append(key + columns)
                appended[1].append(record)


class SinkTables:
    """Writes rows for one task."""

    def __init__(self, tables: Iterable[SqlTable]) -> None:
        tables = tuple(tables)
        self._upserts = Upserts(table for table in tables if not table.append_only)
        self._appends = {table.name: Appends(table) for table in tables if table.append_only}

    async def prepare(self, connection: PoolConnectionProxy, rows: SinkRows) -> None:
        """Create the partitions that the rows need."""
        for table, (appended, _) in rows.appended.items():
            await self._appends[table].prepare(connection, appended)

    async def write(
        self, connection: PoolConnectionProxy, rows: SinkRows, *, wary: bool = False
    ) -> list[tuple[Record, KeyTaken]]:
        """Insert, replace, delete and append; returns the records that `Appends.write` refuses, with `wary`."""
        await self._upserts.write(connection, rows.replaced)
        taken: list[tuple[Record, KeyTaken]] = []
        for table, (appended, records) in rows.appended.items():
            if appended:
                taken += await self._appends[table].write(connection, appended, records, wary=wary)
        return taken
