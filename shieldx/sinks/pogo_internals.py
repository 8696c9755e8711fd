"""Everything that ShieldX uses of pogo-core, which documents only its command. No other module does so.

Each name has a test in tests/sinks/test_pogo_internals.py. pogo-core is imported where it is needed: that takes 0.15 s,
and a sink needs none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import asyncpg
    from pogo_core.migration import Migration

RECORDS = "public"
"""The schema of pogo's own tables, which record what was applied."""


async def applied(connection: asyncpg.Connection) -> tuple[str, ...]:
    """The migrations applied to the database, in order."""
    if await connection.fetchval("SELECT to_regclass('public._pogo_migration')") is None:
        return ()
    rows = await connection.fetch(
        "SELECT migration_id FROM public._pogo_migration WHERE schema_name = $1 ORDER BY migration_id", RECORDS
    )
    return tuple(row["migration_id"] for row in rows)


async def read_migrations(folder: Path, connection: asyncpg.Connection) -> Sequence[Migration]:
    """The migrations in a folder, each after those it depends on. Creates pogo's tables if there are none."""
    from pogo_core.migration import topological_sort  # noqa: PLC0415 - see above
    from pogo_core.util import sql  # noqa: PLC0415 - see above

    await sql.ensure_pogo_sync(connection)
    found = await sql.read_migrations(folder, connection, schema_name=RECORDS)
    return topological_sort([migration.load() for migration in sorted(found, key=lambda found: found.id)])


async def apply(connection: asyncpg.Connection, migration: Migration) -> None:
    """Apply a migration and record it. Raises asyncpg.PostgresError."""
    from pogo_core.util.sql import migration_applied  # noqa: PLC0415 - see above

    await migration.apply(connection)
    await migration_applied(connection, migration.id, migration.hash, schema_name=RECORDS)


async def roll_back(connection: asyncpg.Connection, migration: Migration) -> None:
    """Roll a migration back, with the data in its tables, and forget it. Raises asyncpg.PostgresError."""
    from pogo_core.util.sql import migration_unapplied  # noqa: PLC0415 - see above

    await migration.rollback(connection)
    await migration_unapplied(connection, migration.id, schema_name=RECORDS)
