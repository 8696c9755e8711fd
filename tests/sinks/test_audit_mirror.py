"""The audit log in Postgres: each entry once and unchanged, and nobody changes it there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shieldx.dev.postgres import PostgresServer
from shieldx.domains.audit.projections import entry_of
from shieldx.domains.audit.tables import LOG
from shieldx.messages import rfc3339
from shieldx.sinks.schema import Schema
from tests import programs
from tests.databases import MIGRATIONS, named, new_database, query
from tests.lengths import length
from tests.sinks.ledger_rows import Record
from tests.sinks.log_entries import DAY_MS, chain, entry, mirrored, record, records
from tests.sinks.roles import grant, role
from tests.sinks.sink_tasks import MIRROR, pool, sink_of, task_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.engine.declarations.sink import Sink
    from shieldx.sinks.database import Database
    from shieldx.sinks.sink_task import SinkTask

pytestmark = pytest.mark.integration

JANUARY = "audit.entries_2026_01"
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit.entries'::regclass ORDER BY 1"
READ_UNREADABLE = "SELECT record_offset, reason FROM shieldx.unreadable ORDER BY record_offset"
SET_BACK = "UPDATE shieldx.positions SET next_offset = 0"
CHANGES = ["UPDATE {} SET outcome = 'denied'", "DELETE FROM {}", "TRUNCATE {}"]
YEAR_10000_MS = 253_402_300_800_000
texts = st.text(st.characters(codec="utf-8"))


def the_sink() -> Sink:
    return sink_of(MIRROR)


async def started(database: Database, shard: int = 0) -> SinkTask:
    task = task_of(the_sink(), database, shard)
    await task.start()
    return task


async def write(dsn: str, written: Sequence[Record]) -> None:
    """Have a new task go over the records from the position that Postgres has."""
    async with pool(dsn) as database:
        await (await started(database)).process(written)


async def test_rows_are_the_entries_of_the_log(dsn: str) -> None:
    entries = chain(100, step_ms=DAY_MS)
    async with pool(dsn) as database:
        task = await started(database)
        for begin in range(0, 100, 30):
            await task.process(records(entries)[begin : begin + 30])
    assert await mirrored(dsn) == entries
    assert await query(dsn, PARTITIONS) == [(f"audit.entries_2026_0{month}",) for month in range(1, 5)]
    assert await query(dsn, READ_UNREADABLE) == []


TEXTS = ("action", "subject", "outcome", "idempotency_key", "occurred_at")
TEXTS_OR_NULL = ("actor", "source", "digest", "payload")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=length(short=25, soak=500))
@given(st.data(), st.integers(0, YEAR_10000_MS - 1), st.integers(0, 2**53 - 1))
async def test_every_entry_comes_back_from_postgres(dsn: str, data: st.DataObject, at_ms: int, sequence: int) -> None:
    given_texts: dict[str, Any] = {name: data.draw(texts, name) for name in TEXTS}
    given_texts |= {name: data.draw(st.none() | texts, name) for name in TEXTS_OR_NULL}
    tenant_id = data.draw(st.none() | st.text(min_size=1, max_size=256), "tenant_id")
    logged = entry(sequence, at_ms=at_ms, tenant_id=tenant_id, **given_texts)
    assert await there_and_back(dsn, logged) == logged


async def test_a_huge_payload_and_a_huge_actor_come_back(dsn: str) -> None:
    logged = entry(0, payload='"' + "é\0" * 400_000 + '"', actor="ä" * 100_000)
    assert await there_and_back(dsn, logged) == logged


async def there_and_back(dsn: str, logged: AuditEntry) -> AuditEntry:
    """What Postgres gives back for an entry; nothing of it stays."""
    given = record(0, logged)
    ((_, key, columns),) = the_sink().rows(LOG, logged.shard, 0, given.key, given.value)
    connection = await asyncpg.connect(dsn)
    try:
        transaction = connection.transaction()
        await transaction.start()
        assert columns is not None
        await connection.execute(
            "SELECT audit.make_partition(date_trunc('month', $1::timestamptz, 'UTC')::date)", columns[0]
        )
        await connection.copy_records_to_table("entries", schema_name="audit", records=[(*key, *columns)])
        found = await connection.fetchrow("SELECT * FROM audit.entries")
        await transaction.rollback()
        assert found is not None
        return entry_of(dict(found))
    finally:
        await connection.close()


async def test_eight_tasks_that_need_the_same_new_months_at_once_write_all(dsn: str) -> None:
    chains = [chain(60, shard=shard, step_ms=DAY_MS * 3) for shard in range(8)]
    async with pool(dsn, connections=8) as database:
        tasks = [await started(database, shard) for shard in range(8)]
        for begin in range(0, 60, 15):
            await asyncio.gather(
                *(
                    task.process(records(entries)[begin : begin + 15])
                    for task, entries in zip(tasks, chains, strict=True)
                )
            )
    assert await mirrored(dsn) == [logged for entries in chains for logged in entries]
    assert len(await query(dsn, PARTITIONS)) == 6


async def test_eight_connections_that_write_and_make_months_in_any_order_do_not_deadlock(dsn: str) -> None:
    make = "SELECT audit.make_partition($1::text::date)"
    insert = (
        "INSERT INTO audit.entries VALUES "
        "($1, $2, $3::text::timestamptz, 1, 't', NULL, 'a', 's', 'o', 'k', '', NULL, NULL, NULL, 'i', 'k1', '', '', '')"
    )
    old, *new = (f"2026-{number:02d}-01" for number in range(1, 10))
    await query(dsn, make, old)
    all_have_written = asyncio.Barrier(len(new))

    async def write_and_make(shard: int) -> None:
        connection = await asyncpg.connect(dsn, server_settings={"deadlock_timeout": "10ms"})
        async with connection.transaction():
            await connection.execute(insert, shard, 0, f"{old} 12:00+00")
            await all_have_written.wait()
            for number, month in enumerate(new[shard:] + new[:shard], 1):
                await connection.execute(make, month)
                await connection.execute(insert, shard, number, f"{month} 12:00+00")
        await connection.close()

    await asyncio.gather(*(write_and_make(shard) for shard in range(len(new))))
    assert len(await query(dsn, PARTITIONS)) == 9
    assert await query(dsn, "SELECT count(*) FROM audit.entries") == [(8 * 9,)]


@pytest.mark.parametrize(
    "month", ["NULL", "'2026-01-02'", "'infinity'", "'-infinity'", "'1969-12-01'", "'10000-01-01'", "'0044-03-01 BC'"]
)
async def test_what_is_no_month_makes_no_partition(dsn: str, month: str) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="is not the first day of a month from"):
        await query(dsn, f"SELECT audit.make_partition({month})")
    assert await query(dsn, PARTITIONS) == []


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("table", ["audit.entries", JANUARY])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_superuser_s_change_is_refused(dsn: str, change: str, table: str, role: str) -> None:
    entries = chain(3)
    await write(dsn, records(entries))
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await connection.execute(f"SET session_replication_role = {role}")
    with pytest.raises(asyncpg.ProhibitedSQLStatementAttemptedError, match="entries of the audit log stay as they are"):
        await connection.execute(change.format(table))
    await connection.close()
    assert await mirrored(dsn) == entries


@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_a_log_without_entries_is_not_truncated_either(dsn: str, role: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"SET session_replication_role = {role}")
    with pytest.raises(asyncpg.ProhibitedSQLStatementAttemptedError):
        await connection.execute("TRUNCATE audit.entries")
    await connection.close()


async def test_the_owner_and_the_sink_s_user_may_add_and_not_change(postgres: str) -> None:
    suffix = uuid4().hex
    entries = chain(50, step_ms=DAY_MS)
    async with (
        new_database(postgres, migrated=False) as dsn,
        role(dsn, f"owner_{suffix}") as owner,
        role(dsn, f"sink_{suffix}") as sink,
    ):
        await query(dsn, f"GRANT CREATE ON DATABASE {urlsplit(dsn).path[1:]} TO owner_{suffix}")
        await query(dsn, f"GRANT CREATE ON SCHEMA public TO owner_{suffix}")
        await Schema(owner, MIGRATIONS).up()
        await grant(owner, f"sink_{suffix}")
        (await Schema(sink, MIGRATIONS).state()).check()
        # One record that differs, so that shieldx.unreadable is written to as well.
        await write(sink, [*records(entries), record(50, entry(7, outcome="denied"))])
        assert len(await query(dsn, READ_UNREADABLE)) == 1
        assert await mirrored(sink) == entries
        for table in ("audit.entries", JANUARY):
            for user in (owner, sink):
                for change in CHANGES:
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await query(user, change.format(table))
            for change in (
                "DROP TABLE {}",
                "ALTER TABLE {} DISABLE TRIGGER ALL",
                "CREATE TRIGGER t BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await query(sink, change.format(table))
        for statement in (
            f"ALTER TABLE audit.entries DETACH PARTITION {JANUARY}",
            "CREATE TABLE audit.mine (x int)",
            f"TABLE {JANUARY}",
            "CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE sql AS ''",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await query(sink, statement)
        assert await mirrored(dsn) == entries


async def test_a_function_of_somebody_else_is_not_called_by_that_of_the_owner(postgres: str) -> None:
    """A function with its owner's rights must not look for names where others may put them."""
    suffix = uuid4().hex
    async with new_database(postgres) as dsn, role(dsn, f"sink_{suffix}") as sink:
        await grant(dsn, f"sink_{suffix}")
        connection = await asyncpg.connect(sink)
        await connection.execute(
            "CREATE FUNCTION pg_temp.to_char(timestamp, text) RETURNS text AS 'SELECT 1 / 0 || $2' LANGUAGE sql"
        )
        await connection.execute("CREATE TEMPORARY TABLE pg_class AS SELECT * FROM pg_catalog.pg_class WHERE false")
        await connection.execute("SET search_path = pg_temp, pg_catalog")
        for _ in range(2):
            await connection.execute("SELECT audit.make_partition('2026-01-01')")
        await connection.close()
        assert await query(dsn, PARTITIONS) == [(JANUARY,)]


async def test_what_is_there_already_is_passed_over_and_the_rest_is_written(dsn: str) -> None:
    entries = chain(40)
    await write(dsn, records(entries)[:25])
    await query(dsn, SET_BACK)
    async with pool(dsn) as database:
        task = await started(database)
        for begin in range(0, 40, 10):
            assert await task.process(records(entries)[begin : begin + 10]) == 10
    assert await mirrored(dsn) == entries
    assert await query(dsn, READ_UNREADABLE) == []


@pytest.mark.parametrize("at_ms", [None, 0], ids=["the same time", "in another month"])
async def test_another_entry_with_a_key_that_is_there_is_set_aside_and_the_first_stays(
    dsn: str, at_ms: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    entries = chain(10)
    other = msgspec.structs.replace(entries[4], outcome="denied")
    if at_ms is not None:
        other = msgspec.structs.replace(other, at=rfc3339(at_ms))
    for written in (
        [*records(entries), record(10, other)],
        [*records(chain(11))[:10], record(10, other), record(11, chain(11)[10])],
    ):
        await write(dsn, written)
        await query(dsn, SET_BACK)
    assert await mirrored(dsn) == chain(11)
    ((offset, reason),) = await query(dsn, READ_UNREADABLE)
    assert (offset, reason) == (
        10,
        "KeyTaken: audit.entries already has another row with shard 0, sequence 4, which stays",
    )
    assert reason in caplog.text


async def test_another_entry_is_seen_in_whatever_batch_and_month_it_comes(dsn: str) -> None:
    entries = chain(14)
    others = [entry(sequence, at_ms=0) for sequence in (9, 11, 13)]
    async with pool(dsn) as database:
        await (await started(database)).process(records(entries)[:10])
        task = await started(database)
        await task.process([record(10, others[0])])
        await task.process([record(11, entries[9]), record(12, entries[10]), record(13, entries[11])])
        await task.process([record(14, others[1])])
        await task.process([record(15, entries[12]), record(16, entries[13])])
        await task.process([record(17, others[2])])
    assert await mirrored(dsn) == entries
    assert [offset for offset, _ in await query(dsn, READ_UNREADABLE)] == [10, 14, 17]


async def test_a_row_that_was_there_before_its_entry_is_not_overwritten(dsn: str) -> None:
    """Somebody who may insert foresees an entry: the log's own is set aside, by the first task and by a later one."""
    entries = chain(20)
    forged = msgspec.structs.replace(entries[12], outcome="denied")
    async with pool(dsn) as database:
        task = await started(database)
        await task.process(records(entries)[:10])
        await insert(dsn, forged)
        await task.process(records(entries)[10:])
    assert await mirrored(dsn) == [*entries[:12], forged, *entries[13:]]
    ((offset, reason),) = await query(dsn, READ_UNREADABLE)
    assert (offset, reason.partition(":")[0]) == (12, "KeyTaken")


async def insert(dsn: str, logged: AuditEntry) -> None:
    given = record(0, logged)
    ((_, key, columns),) = the_sink().rows(LOG, logged.shard, 0, given.key, given.value)
    assert columns is not None
    connection = await asyncpg.connect(dsn)
    await connection.copy_records_to_table("entries", schema_name="audit", records=[(*key, *columns)])
    await connection.close()


async def test_a_record_that_the_log_would_not_write_is_set_aside_and_the_others_written(dsn: str) -> None:
    entries = chain(4)
    first, second, third, fourth = records(entries)
    alien = Record(LOG, 0, 1, b"0/1", b'{"type":"consume"}')
    tombstone = third._replace(value=None)
    long = record(4, entry(4, tenant_id="é" * 257))
    await write(dsn, [first, alien, tombstone, fourth, long])
    assert await mirrored(dsn) == [entries[0], entries[3]]
    reasons = [(offset, reason.partition(":")[0]) for offset, reason in await query(dsn, READ_UNREADABLE)]
    assert reasons == [(1, "Malformed"), (2, "ValueError"), (4, "Malformed")]
    await query(dsn, SET_BACK)
    await write(dsn, [first, second, third, fourth])
    assert await mirrored(dsn) == entries, "once they are mended"


async def test_the_migration_is_taken_back_with_all_that_it_led_to(dsn: str) -> None:
    await write(dsn, [*records(chain(3)), record(3, entry(1, outcome="denied"))])
    await query(
        dsn,
        "INSERT INTO shieldx.positions VALUES ('other', 't', 0, 1, 'c')",
    )
    schema = Schema(dsn, MIGRATIONS)
    later = [name for name in (await schema.state()).known if name >= "0003-audit"]
    assert (await schema.down(len(later)))[-1] == "0003-audit"
    assert await query(dsn, "SELECT to_regnamespace('audit')") == [(None,)]
    assert await query(dsn, "SELECT sink FROM shieldx.positions UNION ALL SELECT sink FROM shieldx.unreadable") == [
        ("other",)
    ]
    await schema.up()
    await write(dsn, records(chain(3)))
    assert await mirrored(dsn) == chain(3)


async def test_a_restored_older_base_backup_becomes_equal_to_the_log_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("restored-postgres")
    server = PostgresServer(folder)
    await server.start()
    try:
        dsn = named(server.dsn, "mirror")
        await query(named(server.dsn, "postgres"), "CREATE DATABASE mirror")
        await Schema(dsn, MIGRATIONS).up()
        entries = chain(90, step_ms=DAY_MS)
        async with pool(dsn) as database:
            await (await started(database)).process(records(entries)[:20])
            await server.stop()
            back_up(folder, "backup", "data")
            await server.start()
            running = await started(database)
            await running.process(records(entries)[20:70])
            assert await mirrored(dsn) == entries[:70]
            await server.stop()
            back_up(folder, "data", "backup")
            await server.start()
            assert await mirrored(dsn) == entries[:20], "the older backup, without the months that were made later"
            again = await started(database)
            assert again.positions == {(LOG, 0): 20}
            await again.process(records(entries))
        assert await mirrored(dsn) == entries
        assert await query(dsn, READ_UNREADABLE) == []
    finally:
        await server.stop()


def back_up(folder: Path, target: str, source: str) -> None:
    """Copy the data of a stopped server, with the owner that they have."""
    root = folder / "postgres"
    programs.run(["/bin/rm", "-rf", root / target], check=True)
    programs.run(["/bin/cp", "-a", root / source, root / target], check=True)
