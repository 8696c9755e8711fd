"""A database whose disk is full: the sink waits, and loses nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.operations.metrics import Metrics
from shieldx.errors import RestoreTask
from shieldx.sinks.database import Database
from shieldx.sinks.schema import Schema
from shieldx.sinks.sink_task import SinkTask
from tests import programs
from tests.databases import MIGRATIONS, named, query
from tests.sinks.ledger_rows import UnchangingCluster, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.dev.postgres import PostgresServer

pytestmark = pytest.mark.integration

SIZE = "24m"


@pytest.fixture
def small_disk(own_server: PostgresServer) -> Iterator[Path]:
    """A file system of a few megabytes that Postgres may write to."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = Path(tempfile.mkdtemp(prefix="shieldx-small-disk-"))
    mounted = programs.run(["/bin/mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder])
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    owner = Path(f"/proc/{own_server.pid}").stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    folder.chmod(0o700)
    yield folder
    programs.run(["/bin/umount", folder], check=True)
    folder.rmdir()


async def fill(dsn: str, rows_at_a_time: int) -> None:
    """Insert rows until the disk has no room for this many more."""
    insert = "INSERT INTO filler SELECT repeat('x', 500) FROM generate_series(1, $1::int)"
    while True:
        try:
            await query(dsn, insert, rows_at_a_time)
        except asyncpg.DiskFullError:
            return


async def test_a_full_disk_is_named_and_once_there_is_room_all_is_written(
    own_server: PostgresServer, small_disk: Path
) -> None:
    administration = named(own_server.dsn, "postgres")
    await query(administration, f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    await query(administration, "CREATE DATABASE small TABLESPACE small")
    dsn = named(own_server.dsn, "small")
    await Schema(dsn, MIGRATIONS).up()
    with pytest.raises(asyncpg.DiskFullError):
        await query(dsn, "CREATE TABLE filler AS SELECT repeat('x', 500) AS x FROM generate_series(1, 1000000)")
    await query(dsn, "CREATE TABLE filler (x text)")
    for size in (100_000, 10_000, 1_000, 100, 10):
        await fill(dsn, size)

    database = Database(dsn, application="test")
    await database.start()
    sink = load_agents(MIGRATIONS.parent / "agents")["credits-statements"]
    assert isinstance(sink, Sink)
    records = [transaction(offset, "a" * 200, key="k" * 200 + str(offset)) for offset in range(1000)]

    def task() -> SinkTask:
        return SinkTask(sink, 0, database, UnchangingCluster(), Metrics([sink]).task(sink.name, 0))

    async def start_and_write() -> None:
        first = task()
        await first.start()
        await first.process(records)

    with pytest.raises(RestoreTask, match="its disk is full: free some space"):
        await start_and_write()
    await query(dsn, "DROP TABLE filler")
    again = task()
    await again.start()
    assert await again.process(records) == 1000
    assert await query(dsn, "SELECT count(*) FROM credits.transactions") == [(1000,)]
    await database.stop()
    await query(administration, "DROP DATABASE small WITH (FORCE)")
    await query(administration, "DROP TABLESPACE small")
