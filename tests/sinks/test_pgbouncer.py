"""Sinks and migrations through a real PgBouncer: in session mode they work, otherwise they say what to set."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg
import pytest

from shieldx.errors import FixConfiguration
from shieldx.sinks.database import CheckPostgres, MendPostgres, connected
from shieldx.sinks.schema import Schema
from tests.databases import MIGRATIONS, new_database, query
from tests.pgbouncer import PgBouncer, pgbouncer
from tests.sinks.ledger_rows import transaction
from tests.sinks.log_entries import chain, mirrored, records
from tests.sinks.sink_tasks import MIRROR, STATEMENTS, pool, sink_of, task_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shieldx.sinks.database import Database
    from shieldx.sinks.sink_task import SinkTask
    from tests.pgbouncer_install import InstalledPgBouncer

pytestmark = pytest.mark.integration

SHARED = ["transaction", "statement"]
WHAT_TO_SET = "shares server connections among clients: set `pool_mode = session` in PgBouncer"
MOVEMENTS = "SELECT transaction_id FROM credits.transactions ORDER BY input_offset"


@pytest.fixture
async def pooler(pgbouncer_program: InstalledPgBouncer, tmp_path: Path, dsn: str) -> AsyncIterator[PgBouncer]:
    """A pooler with its defaults, which pool sessions."""
    async with pgbouncer(pgbouncer_program, tmp_path, dsn) as made:
        yield made


async def started(name: str, database: Database) -> SinkTask:
    task = task_of(sink_of(name), database)
    await task.start()
    return task


async def until_told(database: Database) -> None:
    """Start tasks as a worker does, past the connections from before."""
    while True:
        with suppress(MendPostgres):
            await started(STATEMENTS, database)


async def restart(pooler: PgBouncer, **settings: object) -> None:
    pooler.stop()
    await pooler.start(settings)


async def test_both_sinks_write_through_a_pooler_with_its_defaults(dsn: str, pooler: PgBouncer) -> None:
    entries = chain(30)
    async with pool(pooler.dsn) as statements, pool(pooler.dsn) as mirror:
        await (await started(STATEMENTS, statements)).process([transaction(offset, "a") for offset in range(3)])
        await (await started(MIRROR, mirror)).process(records(entries))
    assert await query(dsn, MOVEMENTS) == [("0-0",), ("0-1",), ("0-2",)]
    assert await mirrored(dsn) == entries


async def test_migrations_are_applied_and_taken_back_through_a_pooler(
    pgbouncer_program: InstalledPgBouncer, tmp_path: Path, postgres: str
) -> None:
    async with (
        new_database(postgres, migrated=False) as dsn,
        pgbouncer(pgbouncer_program, tmp_path, dsn, server_reset_query="") as pooler,  # which leaves a lock alone
    ):
        schema = Schema(pooler.dsn, MIGRATIONS)
        known = (await schema.state()).known
        applied = await asyncio.gather(*(schema.up() for _ in range(3)))
        assert sorted(map(len, applied)) == [0, 0, len(known)]
        assert await schema.down(None) == list(reversed(known))
        assert await query(dsn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


async def test_limits_hold_in_a_transaction_and_do_not_stay_in_a_pooler_s_session(dsn: str, pooler: PgBouncer) -> None:
    await restart(pooler, server_reset_query="", default_pool_size=2)
    async with pool(pooler.dsn, lock_s=1, connections=1) as database:
        task = await started(STATEMENTS, database)
        other = await asyncpg.connect(dsn)
        async with other.transaction():
            await other.execute("SELECT * FROM shieldx.positions FOR UPDATE")
            with pytest.raises(MendPostgres, match="another transaction holds the rows"):
                await task.process([transaction(0, "a")])
        await other.close()
        await (await started(STATEMENTS, database)).process([transaction(0, "a")])
    limits = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    for _ in range(2):
        assert await query(pooler.dsn, limits) == [("0", "0")]


@pytest.mark.parametrize("mode", SHARED)
@pytest.mark.parametrize("clients", [0, 8], ids=["alone", "among others"])
async def test_a_pooler_that_shares_sessions_is_refused_whoever_else_uses_it(
    pooler: PgBouncer, mode: str, clients: int
) -> None:
    await restart(pooler, pool_mode=mode)
    stopped = asyncio.Event()

    async def use() -> None:
        connection = await asyncpg.connect(pooler.dsn)
        while not stopped.is_set():
            await connection.execute("SELECT pg_sleep(0.001)")
        await connection.close()

    async with asyncio.TaskGroup() as others:
        for _ in range(clients):
            others.create_task(use())
        async with pool(pooler.dsn) as database:
            with pytest.raises(FixConfiguration, match=WHAT_TO_SET):
                await started(STATEMENTS, database)
        with pytest.raises(FixConfiguration, match=WHAT_TO_SET):
            await Schema(pooler.dsn, MIGRATIONS).state()
        stopped.set()


async def test_a_pooler_that_pools_sessions_is_accepted_however_few_servers_it_may_have(pooler: PgBouncer) -> None:
    await restart(pooler, default_pool_size=4)
    async with pool(pooler.dsn) as database:
        tasks = [task_of(sink_of(STATEMENTS), database, partition) for partition in range(12)]
        await asyncio.gather(*(task.start() for task in tasks))
        await asyncio.gather(*(task.tick() for task in tasks))


async def test_a_pooler_without_a_server_connection_to_spare_is_named(pooler: PgBouncer) -> None:
    await restart(pooler, default_pool_size=1)
    async with pool(pooler.dsn) as database:
        with pytest.raises(MendPostgres, match="no server connection left for one more client"):
            await started(STATEMENTS, database)
    with pytest.raises(CheckPostgres, match="raise its default_pool_size"):
        await Schema(pooler.dsn, MIGRATIONS).state()


async def test_a_pooler_that_restarts_is_named_and_worked_with_again(dsn: str, pooler: PgBouncer) -> None:
    async with pool(pooler.dsn) as database:
        task = await started(STATEMENTS, database)
        await task.process([transaction(0, "a")])
        pooler.stop()
        with pytest.raises(MendPostgres, match="cannot be reached"):
            await task.process([transaction(1, "a")])
        with pytest.raises(MendPostgres, match="cannot be reached"):
            await started(STATEMENTS, database)
        await pooler.start()
        await (await started(STATEMENTS, database)).process([transaction(1, "a")])
        await restart(pooler, pool_mode="transaction")
        with pytest.raises(FixConfiguration, match=WHAT_TO_SET):
            await until_told(database)
    assert await query(dsn, MOVEMENTS) == [("0-0",), ("0-1",)]


async def test_a_read_only_database_is_not_mistaken_for_a_shared_session(dsn: str, pooler: PgBouncer) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    await query(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with connected(pooler.dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM credits.accounts") == 0


async def test_what_a_pooler_refuses_is_said_as_it_says_it(pooler: PgBouncer) -> None:
    with pytest.raises(CheckPostgres, match=r"a pooler in front of it refuses the connection \(ProtocolViolation"):
        async with connected(f"{pooler.dsn}?search_path=public"):
            pass
