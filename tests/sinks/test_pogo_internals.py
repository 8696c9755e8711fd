"""What is used of pogo-core does what it is used for, on a real Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from pogo_core.util import sql

from shieldx.sinks.pogo_internals import RECORDS, applied, apply, read_migrations, roll_back
from tests.databases import new_database
from tests.sinks.test_schema import page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
async def connection(postgres: str) -> AsyncIterator[asyncpg.Connection]:
    """A database that has had no migration."""
    async with new_database(postgres, migrated=False) as address:
        connection = await asyncpg.connect(address)
        try:
            yield connection
        finally:
            await connection.close()


async def test_what_pogo_records_is_what_was_applied(connection: asyncpg.Connection) -> None:
    """Its table has no public name: under another one, nothing would ever seem applied."""
    assert await applied(connection) == ()
    await sql.ensure_pogo_sync(connection)
    await sql.migration_applied(connection, "0001-page", "hash", schema_name=RECORDS)
    assert await applied(connection) == ("0001-page",)


async def test_migrations_come_in_the_order_of_what_they_depend_on(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    second = page(tmp_path, 2, depends="", up="CREATE TABLE second (id int)", down="DROP TABLE second")
    first = page(tmp_path, 1, depends=second, up="CREATE TABLE first (id int)", down="DROP TABLE first")
    found = await read_migrations(tmp_path, connection)
    assert [migration.id for migration in found] == [second, first]


async def test_a_migration_is_applied_and_rolled_back_with_its_record(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    name = page(tmp_path, 1, depends="", up="CREATE TABLE made (id int)", down="DROP TABLE made")
    (migration,) = await read_migrations(tmp_path, connection)
    await apply(connection, migration)
    assert await applied(connection) == (name,)
    assert await connection.fetchval("SELECT to_regclass('made')") is not None
    await roll_back(connection, migration)
    assert await applied(connection) == ()
    assert await connection.fetchval("SELECT to_regclass('made')") is None
