"""Writes many rows with a few statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.sinks.postgres_faults import SuppressedRows
from shieldx.sinks.stored_rows import check_stored, number_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncpg.pool import PoolConnectionProxy

    from shieldx.engine.declarations.sink import SqlRow, SqlTable


class RowSet:
    """The last row of each key, since a statement must not change a row twice."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[Any, ...], tuple[Any, ...] | None]] = {}

    def add(self, row: SqlRow) -> None:
        """Add a row, which replaces an earlier row with its key."""
        table, key, columns = row
        self._rows.setdefault(table, {})[key] = columns

    def of(self, table: str) -> dict[tuple[Any, ...], tuple[Any, ...] | None]:
        """Columns by key, None for a row to delete."""
        return self._rows.get(table, {})


class Upserts:
    """The statements for a sink's tables."""

    def __init__(self, tables: Iterable[SqlTable]) -> None:
        self._tables = {table.name: (_upsert(table), _delete(table), _count(table)) for table in tables}

    async def write(self, connection: PoolConnectionProxy, rows: RowSet) -> None:
        """Insert, replace and delete.

        Raises:
            SuppressedRows: Postgres has done less without an error.
        """
        for table, (upsert, delete, count) in self._tables.items():
            changed = rows.of(table)
            written = [(*key, *columns) for key, columns in changed.items() if columns is not None]
            deleted = [key for key, columns in changed.items() if columns is None]
            if written:
                check_stored(table, await connection.execute(upsert, *_columns(written)), written)
            if deleted:
                gone = number_in(await connection.execute(delete, *_columns(deleted)))
                # Rows that were not there cannot be deleted, and are rare.
                if gone < len(deleted) and (kept := await connection.fetchval(count, *_columns(deleted))):
                    raise SuppressedRows(f"{table} kept {kept} of {len(deleted)} rows that were deleted")


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _upsert(table: SqlTable) -> str:
    types = {**table.key, **table.columns}
    names = ", ".join(types)
    changes = ", ".join(f"{name} = excluded.{name}" for name in table.columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {_unnest(types.values())} AS new ({names}) "  # noqa: S608 - names from a page in agents/, values apart
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}"
    )


def _delete(table: SqlTable) -> str:
    return f"DELETE FROM {table.name} USING {_with_keys(table)}"  # noqa: S608 - likewise


def _count(table: SqlTable) -> str:
    return f"SELECT count(*) FROM {table.name}, {_with_keys(table)}"  # noqa: S608 - likewise


def _with_keys(table: SqlTable) -> str:
    matches = " AND ".join(f"{table.name}.{name} = given.{name}" for name in table.key)
    return f"{_unnest(table.key.values())} AS given ({', '.join(table.key)}) WHERE {matches}"


def _unnest(types: Iterable[str]) -> str:
    return f"unnest({', '.join(f'${number}::{kind}[]' for number, kind in enumerate(types, 1))})"
