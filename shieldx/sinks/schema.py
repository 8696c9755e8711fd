"""The schema in Postgres: numbered pages of SQL in migrations/, applied in order."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.sinks.database import connected, place_of
from shieldx.sinks.pogo_internals import applied, apply, read_migrations, roll_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pogo_core.migration import Migration

LOCK = 0x5348_4945_4C44_58
"""The lock id of this program, so that concurrent migrations wait for each other: `SHIELDX` in ASCII."""

ENCODING = "UTF8"


class MigrationFailed(ShieldXError):
    """A migration failed and was rolled back. The message gives the reason.

    Correct the cause and run `shieldx migrate` again.
    """


class SchemaState(NamedTuple):
    """The migrations of this program and those applied to the database, in order."""

    known: tuple[str, ...]
    applied: tuple[str, ...]

    @property
    def pending(self) -> tuple[str, ...]:
        """Migrations that are not applied yet."""
        return tuple(name for name in self.known if name not in self.applied)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Migrations that a later version of this program has applied."""
        return tuple(name for name in self.applied if name not in self.known)

    def check(self) -> None:
        """Refuse a schema that does not match this program.

        Raises:
            FixConfiguration: the schema is behind or ahead. The message says which, and what to do.
        """
        if self.unknown:
            raise FixConfiguration(
                f"the schema in Postgres is ahead of this program: {', '.join(self.unknown)} is unknown. Upgrade "
                "ShieldX, or take it back with the version that applied it: `shieldx migrate down`"
            )
        if self.pending:
            raise FixConfiguration(
                f"the schema in Postgres is behind this program: {', '.join(self.pending)} is not applied. Run "
                "`shieldx migrate up`"
            )


class Schema:
    """The schema of one database. Each call opens a connection."""

    def __init__(self, dsn: str, folder: Path) -> None:
        """`dsn` is the database's address, `folder` the folder of the migrations."""
        self._dsn = dsn
        self._folder = folder

    async def state(self) -> SchemaState:
        """The known and the applied migrations. Raises CheckPostgres if Postgres does not respond."""
        async with connected(self._dsn) as connection:
            return await self._state(connection)

    async def up(self) -> list[str]:
        """Apply pending migrations, each in its own transaction. Returns their names.

        Raises:
            CheckPostgres: Postgres does not respond.
            FixConfiguration: the schema is ahead of this program, or the database cannot hold every text.
            MigrationFailed: a migration failed; those before it remain applied.
        """
        async with self._locked() as connection:
            await self._check_encoding(connection)
            state = await self._state(connection)
            if state.unknown:
                state.check()
            for migration in await read_migrations(self._folder, connection):
                if migration.id in state.pending:
                    await _apply(connection, migration)
            return list(state.pending)

    async def down(self, count: int | None) -> list[str]:
        """Roll back the last `count` migrations, or all, with the data in their tables. Returns their names.

        Raises:
            CheckPostgres: Postgres does not respond.
            FixConfiguration: the schema is ahead of this program.
            MigrationFailed: a rollback failed.
        """
        async with self._locked() as connection:
            state = await self._state(connection)
            if state.unknown:
                state.check()
            last = list(reversed(state.applied))[:count]
            by_id = {migration.id: migration for migration in await read_migrations(self._folder, connection)}
            for name in last:
                await _roll_back(connection, by_id[name])
            return last

    async def _state(self, connection: asyncpg.Connection) -> SchemaState:
        known = tuple(sorted(path.stem for path in self._folder.glob("*.sql")))
        if not known:
            raise FixConfiguration(
                f"no migrations in {self._folder}; set SHIELDX_HOME to the folder that contains them"
            )
        return SchemaState(known, await applied(connection))

    async def _check_encoding(self, connection: asyncpg.Connection) -> None:
        encoding = await connection.fetchval("SHOW server_encoding")
        if encoding != ENCODING:
            raise FixConfiguration(
                f"the database {place_of(self._dsn)} has the encoding {encoding}; create another one with "
                f"ENCODING '{ENCODING}', which can hold every text"
            )

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that holds the lock. It is given back, since a pooler may keep the session of a connection."""
        async with connected(self._dsn) as connection:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await apply(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"migration {migration.id} failed, and nothing of it remains: {error}") from error


async def _roll_back(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await roll_back(connection, migration)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"taking back {migration.id} failed, and all of it remains: {error}") from error
