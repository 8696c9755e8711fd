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

    def __init__(self, tables: Iterable[SqlTable], *, checked: bool = False) -> None:
        """`checked` looks at every value, which takes time and is needed only if Postgres has refused some."""
        self._tables = {table.name: table for table in tables}
        self._checked = checked
        self.replaced = RowSet()
        self.appended: dict[str, tuple[list[tuple[Any, ...]], list[Record]]] = {
            name: ([], []) for name, table in self._tables.items() if table.append_only
        }

    def add(self, record: Record, rows: Iterable[SqlRow]) -> None:
        """Add the rows of a record, which come after all that were added: all of them or, after an error, none.

        Raises:
            ValueError: a row is deleted from an append-only table, or a checked value does not fit its column.
        """
        whole = list(rows)
        for table, key, columns in whole:
            if columns is None and table in self.appended:
                raise ValueError(f"a deletion from the append-only table {table}")
            if self._checked:
                self._tables[table].check(key, columns)
        for row in whole:
            table, key, columns = row
            if columns is not None and table in self.appended:
                self.appended[table][0].append(key + columns)
                self.appended[table][1].append(record)
            else:
                self.replaced.add(row)


class SinkTables:
    """Writes rows for one task."""

    def __init__(self, tables: Iterable[SqlTable]) -> None:
        tables = tuple(tables)
        self._upserts = Upserts(table for table in tables if not table.append_only)
        self._appends = {table.name: Appends(table) for table in tables if table.append_only}

    async def write(
        self, connection: PoolConnectionProxy, rows: SinkRows, *, wary: bool
    ) -> list[tuple[Record, KeyTaken]]:
        """Create partitions, insert, replace, delete and append. Returns the records that `Appends.write` refuses.

        `wary` relies on nothing that an earlier transaction found.
        """
        await self._upserts.write(connection, rows.replaced)
        taken: list[tuple[Record, KeyTaken]] = []
        for table, (appended, records) in rows.appended.items():
            if appended:
                await self._appends[table].prepare(connection, appended, wary=wary)
                taken += await self._appends[table].write(connection, appended, records, wary=wary)
        return taken
