"""Databases of a test's own, on a server that many tests share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from shieldx.sinks.schema import Schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIGRATIONS = Path(__file__).parents[1] / "migrations"
MIGRATED = "migrated"
"""The database that those with the schema are copies of."""


def named(dsn: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def query(dsn: str, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """What a statement returns."""
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()


async def copy(dsn: str, source: str, target: str) -> None:
    """What a backup and its restoration do: `target` becomes as `source` is, whoever is connected."""
    administration = named(dsn, "postgres")
    await query(administration, f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
    await query(administration, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", source)
    await query(administration, f"CREATE DATABASE {target} TEMPLATE {source}")


@asynccontextmanager
async def new_database(dsn: str, *, migrated: bool = True) -> AsyncIterator[str]:
    """The address of a new database with the schema, which is gone afterwards."""
    name, administration = f"test_{uuid4().hex}", named(dsn, "postgres")
    await query(administration, f"CREATE DATABASE {name} TEMPLATE {await _template(dsn) if migrated else 'template1'}")
    try:
        yield named(dsn, name)
    finally:
        await query(administration, f"DROP DATABASE {name} WITH (FORCE)")


async def _template(dsn: str) -> str:
    """A database of the server that has the schema: a copy takes a fraction of the time that the migrations take."""
    administration = named(dsn, "postgres")
    if not await query(administration, "SELECT FROM pg_database WHERE datname = $1", MIGRATED):
        unfinished = f"unfinished_{uuid4().hex}"
        await query(administration, f"CREATE DATABASE {unfinished}")
        await Schema(named(dsn, unfinished), MIGRATIONS).up()
        await query(administration, f"ALTER DATABASE {unfinished} RENAME TO {MIGRATED}")
    return MIGRATED
