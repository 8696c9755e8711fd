"""A sink's task on a real Postgres: rows and position together, and what else may happen to either."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration, LeaveTask, RestoreTask
from tests.databases import copy, named, new_database, query
from tests.sinks.ledger_rows import Record, UnchangingCluster, account, transaction
from tests.sinks.sink_tasks import STATEMENTS as NAME
from tests.sinks.sink_tasks import pool, sink_of, task_of

if TYPE_CHECKING:
    from shieldx.dev.postgres import PostgresServer
    from shieldx.sinks.database import Database
    from shieldx.sinks.sink_task import SinkTask

pytestmark = pytest.mark.integration

READ_ACCOUNTS = "SELECT tenant_id, balance, source_offset FROM credits.accounts ORDER BY tenant_id"
READ_TRANSACTIONS = "SELECT transaction_id, amount FROM credits.transactions ORDER BY input_offset"
READ_POSITIONS = "SELECT topic, next_offset FROM shieldx.positions WHERE partition = 0 ORDER BY topic"
READ_UNREADABLE = "SELECT topic, record_offset, length, sha256, reason FROM shieldx.unreadable ORDER BY record_offset"

BALANCES, MOVEMENTS = TopicPartition(ACCOUNTS, 0), TopicPartition(TRANSACTIONS, 0)


def task(database: Database, partition: int = 0, cluster: Any = None, partitions: int = 1) -> SinkTask:
    return task_of(sink_of(NAME), database, partition, cluster, partitions)


async def started(database: Database, partition: int = 0, cluster: Any = None) -> SinkTask:
    made = task(database, partition, cluster)
    await made.start()
    return made


async def test_rows_and_positions_are_written_and_found_again(dsn: str) -> None:
    async with pool(dsn) as database:
        first = await started(database)
        assert await first.process([account(0, "a", 5), transaction(0, "a", 5), account(4, "a", 9)]) == 3
        second = await started(database)
        assert second.positions == {(ACCOUNTS, 0): 5, (TRANSACTIONS, 0): 1}
    assert await query(dsn, READ_ACCOUNTS) == [("a", 9, 4)], "the last row of the key, where it stands"
    assert await query(dsn, READ_TRANSACTIONS) == [("0-0", 5)]


async def test_a_record_that_was_not_decoded_is_set_aside(dsn: str) -> None:
    undecoded = UndecodedRecord(
        topic=TRANSACTIONS, partition=0, offset=1, timestamp=0, reason="a header", length=9, sha256="ab" * 32
    )
    async with pool(dsn) as database:
        assert await (await started(database)).process([transaction(0, "a", 5), undecoded, transaction(2, "a", 5)]) == 3
    assert await query(dsn, READ_UNREADABLE) == [(TRANSACTIONS, 1, 9, "ab" * 32, "a header")]
    assert len(await query(dsn, READ_TRANSACTIONS)) == 2


async def test_what_was_written_before_is_passed_over_and_written_again_without_harm(dsn: str) -> None:
    records = [transaction(offset, "a") for offset in range(3)]
    async with pool(dsn) as database:
        first = await started(database)
        await first.process(records)
        assert await first.process(records) == 0
        await query(dsn, "DELETE FROM shieldx.positions")
        again = await started(database)
        assert await again.process(records) == 3
    assert await query(dsn, READ_TRANSACTIONS) == [("0-0", 7), ("0-1", 7), ("0-2", 7)]


async def test_an_account_that_is_taken_back_is_deleted(dsn: str) -> None:
    async with pool(dsn) as database:
        first = await started(database)
        await first.process([account(0, "a", 5), account(1, "b", 6)])
        await first.process([Record(ACCOUNTS, 0, 2, b"a", None)])
    assert await query(dsn, READ_ACCOUNTS) == [("b", 6, 1)]


async def test_an_account_that_has_moved_is_not_overwritten_by_the_row_that_it_left_behind(dsn: str) -> None:
    """Partitions are read in any order, above all when the tables are read again from their beginnings."""
    tenant = next(name for name in map(str, range(9)) if home_partition(name, 4) == 2)
    async with pool(dsn) as database:
        former, home = task(database, 0, partitions=4), task(database, 2, partitions=4)
        await former.start()
        await home.start()
        await home.process([account(0, tenant, 5, partition=2), account(1, tenant, 9, partition=2)])
        garbage = account(1, tenant, 5)._replace(value=b"garbage")
        assert await former.process([account(0, tenant, 5), garbage]) == 2
        assert former.positions[BALANCES] == 2
    assert await query(dsn, READ_ACCOUNTS) == [(tenant, 9, 1)]
    assert [offset for _, offset, *_ in await query(dsn, READ_UNREADABLE)] == [1], "what cannot be read is set aside"


async def test_of_two_owners_one_writes_and_the_other_leaves(dsn: str) -> None:
    async with pool(dsn) as database:
        zombie, owner = await started(database), await started(database)
        await owner.process([account(0, "a", 1)])
        with pytest.raises(LeaveTask, match="another owner moved the position"):
            await zombie.process([account(0, "a", 1), account(1, "a", 666)])
        with pytest.raises(LeaveTask):
            await zombie.tick()
        await owner.tick()
    assert await query(dsn, READ_ACCOUNTS) == [("a", 1, 0)]


async def test_two_owners_at_the_same_moment_write_each_record_once(dsn: str) -> None:
    batches = [[transaction(offset, "a", key=str(offset)) for offset in range(start, start + 10)] for start in (0, 10)]
    async with pool(dsn) as database:
        owners = [await started(database) for _ in range(4)]
        ended = await asyncio.gather(*(owner.process(batches[0]) for owner in owners), return_exceptions=True)
        assert sorted(str(type(end).__name__) for end in ended) == ["LeaveTask", "LeaveTask", "LeaveTask", "int"]
    assert len(await query(dsn, READ_TRANSACTIONS)) == 10


async def test_a_record_that_cannot_be_read_is_set_aside_and_the_next_one_written(dsn: str) -> None:
    value = b'{"secret": "hunter2", "tenant_id": 7}'
    poison = Record(TRANSACTIONS, 0, 1, b"a/0-1", value)
    async with pool(dsn) as database:
        await (await started(database)).process([transaction(0, "a"), poison, transaction(2, "a")])
    assert await query(dsn, READ_TRANSACTIONS) == [("0-0", 7), ("0-2", 7)]
    ((topic, offset, length, digest, reason),) = await query(dsn, READ_UNREADABLE)
    assert (topic, offset, length, digest) == (TRANSACTIONS, 1, len(value), hashlib.sha256(value).hexdigest())
    assert reason.startswith("ValidationError: Expected `str`, got `int` - at `$.tenant_id`")
    assert await query(dsn, READ_POSITIONS) == [(ACCOUNTS, 0), (TRANSACTIONS, 3)]


async def test_a_restored_backup_is_noticed_and_catches_up(postgres: str, dsn: str) -> None:
    records = [transaction(offset, "a") for offset in range(6)]
    name = dsn.partition("?")[0].rpartition("/")[2]
    async with pool(dsn) as database:
        first = await started(database)
        await first.process(records[:3])
        await copy(postgres, name, f"{name}_backup")
        await (await started(database)).process(records[3:])
        await copy(postgres, f"{name}_backup", name)
        idle = task(database)
        idle.positions = {BALANCES: 0, MOVEMENTS: 6}
        with pytest.raises(LeaveTask):
            await idle.tick()
        again = await started(database)
        assert again.positions[MOVEMENTS] == 3
        await again.process(records)
    assert await query(dsn, READ_TRANSACTIONS) == [(f"0-{offset}", 7) for offset in range(6)]
    await query(named(postgres, "postgres"), f"DROP DATABASE {name}_backup")


async def test_records_that_were_deleted_unread_stop_the_sink_with_what_to_do(dsn: str) -> None:
    async with pool(dsn) as database:
        await (await started(database)).process([account(0, "a", 7), transaction(0, "a")])
        with pytest.raises(FixConfiguration, match=r"up to offset 1, but records below 5 are deleted: 4 were never"):
            await started(database, cluster=UnchangingCluster(beginning=5))
        assert (await started(database, 1, UnchangingCluster(beginning=5))).positions[
            TopicPartition(TRANSACTIONS, 1)
        ] == 5


async def test_a_database_of_another_log_stops_the_sink_with_what_to_do(dsn: str) -> None:
    async with pool(dsn) as database:
        await (await started(database)).process([transaction(7, "a")])
        with pytest.raises(FixConfiguration, match=r"from another log .* ends at 7"):
            await started(database, cluster=UnchangingCluster(end=7))
        other = UnchangingCluster(cluster_id="two")
        with pytest.raises(FixConfiguration, match="in cluster one; this is two"):
            await started(database, cluster=other)


async def test_another_owner_that_moves_on_during_a_start_is_no_other_log(dsn: str) -> None:
    async with pool(dsn) as database:
        former = await started(database)

        class SlowCluster(UnchangingCluster):
            async def bounds(self, partitions: Any) -> Any:
                held = await super().bounds(partitions)
                await former.process([transaction(7, "a")])
                return held

        assert (await started(database, cluster=SlowCluster(end=7))).positions[TopicPartition(TRANSACTIONS, 0)] == 8


async def test_a_schema_that_is_missing_names_the_command(postgres: str) -> None:
    async with new_database(postgres, migrated=False) as address, pool(address) as database:
        with pytest.raises(RestoreTask, match="run `shieldx migrate up`"):
            await started(database)


async def test_a_read_only_database_is_named_and_loses_nothing(dsn: str) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    async with pool(dsn) as database:
        await query(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with pytest.raises(RestoreTask, match="it is read-only"):
            await started(database)


async def test_rows_that_another_transaction_holds_are_waited_for_no_longer_than_the_limit(
    dsn: str,
) -> None:
    async with pool(dsn, lock_s=1) as database:
        first = await started(database)
        other = await asyncpg.connect(dsn)
        async with other.transaction():
            await other.execute("SELECT * FROM shieldx.positions FOR UPDATE")
            with pytest.raises(RestoreTask, match="another transaction holds the rows"):
                await first.process([transaction(0, "a")])
        await other.close()
        assert await first.process([transaction(0, "a")]) == 1


async def test_a_killed_server_is_worked_with_again_after_its_restart(own_server: PostgresServer) -> None:
    async with new_database(own_server.dsn) as dsn, pool(dsn) as database:
        first = await started(database)
        await first.process([transaction(0, "a")])
        await own_server.kill()
        with pytest.raises(RestoreTask, match="cannot be reached"):
            await first.process([transaction(1, "a")])
        with pytest.raises(RestoreTask, match="cannot be reached"):
            await started(database)
        await own_server.start()
        again = await started(database)
        assert again.positions[MOVEMENTS] == 1
        await again.process([transaction(1, "a")])
        assert await query(dsn, READ_TRANSACTIONS) == [("0-0", 7), ("0-1", 7)]


async def test_kills_in_the_middle_of_transactions_lose_and_repeat_nothing(own_server: PostgresServer) -> None:
    records = [transaction(offset, "a", key=str(offset)) for offset in range(6000)]
    undone = 0
    async with new_database(own_server.dsn) as dsn, pool(dsn) as database:
        for number in range(6):
            current = await started(database)
            done = current.positions[MOVEMENTS]
            writing = asyncio.create_task(current.process(records[done : done + 1000]))
            await asyncio.wait({writing}, timeout=0.004 * number)  # at another moment of it each time
            await own_server.kill()
            ended = (await asyncio.gather(writing, return_exceptions=True))[0]
            assert ended == 1000 or isinstance(ended, RestoreTask)
            undone += ended != 1000
            await own_server.start()
            written = [(f"0-{offset}", 7) for offset in range((await started(database)).positions[MOVEMENTS])]
            assert await query(dsn, READ_TRANSACTIONS) == written, "as many rows as the position says, whatever it says"
        last = await started(database)
        await last.process(records)
        assert len(await query(dsn, READ_TRANSACTIONS)) == len(records)
    assert undone > 0


async def test_a_frozen_server_is_given_up_after_the_limit_and_what_it_does_later_changes_nothing(
    own_server: PostgresServer,
) -> None:
    async with new_database(own_server.dsn) as dsn, pool(dsn, transaction_s=1.0) as database:
        first = await started(database)
        await first.process([transaction(0, "a")])
        await own_server.freeze()
        try:
            with pytest.raises(RestoreTask, match="does not respond in time"):
                await first.process([transaction(1, "a"), transaction(2, "a")])
            with pytest.raises(RestoreTask, match="does not respond in time"):
                await started(database)
        finally:
            await own_server.thaw()
        again = await started(database)
        await again.process([transaction(offset, "a") for offset in range(4)])
        assert await query(dsn, READ_TRANSACTIONS) == [(f"0-{offset}", 7) for offset in range(4)]


async def test_a_topic_that_was_created_again_is_refused_although_it_has_grown_back(dsn: str) -> None:
    created_again = UnchangingCluster(created="Tuesday")
    async with pool(dsn) as database:
        await (await started(database)).process([transaction(0, "a", 5)])
        with pytest.raises(FixConfiguration, match=r"was deleted and created again: .* with id .* of Monday .* NULL"):
            await started(database, cluster=created_again)
        await query(dsn, "UPDATE shieldx.positions SET next_offset = 0, topic_id = NULL")
        again = await started(database, cluster=created_again)
        assert again.positions == {(ACCOUNTS, 0): 0, (TRANSACTIONS, 0): 0}
        with pytest.raises(FixConfiguration, match="of Tuesday"):
            await started(database)
