"""Sinks as workers run them, on a real broker and a real Postgres."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import AnyWorker, make_workers
from shieldx.client import Client
from shieldx.domains.credits.messages import Batch, Code, Commit, Consume, Purchase, Refund, Reserve, Single
from shieldx.domains.credits.tables import ACCOUNTS, AccountRow
from shieldx.engine.operations.health import HealthServer
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.codec import Codec
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from tests.databases import new_database, query
from tests.pgbouncer import pgbouncer
from tests.polling import until
from tests.projections import caught_up, differences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shieldx.dev.postgres import PostgresServer
    from tests.pgbouncer_install import InstalledPgBouncer

pytestmark = pytest.mark.integration

PARTITIONS = 3


async def platform_on(kafka: str, dsn: str) -> Platform:
    """The platform's real topics, which tests share; each has tenants of its own."""
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": kafka,
        "SHIELDX_POSTGRES_DSN": dsn,
        "SHIELDX_PARTITIONS": str(PARTITIONS),
        "SHIELDX_REPLICATION": "1",
        "SHIELDX_SESSION_TIMEOUT_MS": "3000",
    }
    platform = Platform(load_settings(environment))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return platform


@asynccontextmanager
async def running(
    platform: Platform, *names: str, metrics: Metrics | None = None, ended: asyncio.Event | None = None
) -> AsyncIterator[list[AnyWorker]]:
    """Workers in one process, as `shieldx worker` has them; they are stopped in order on the way out.

    `ended` is set when the first of them ends by itself.
    """
    agents = [platform.agent(name) for name in names]
    made = make_workers(platform, agents, metrics or Metrics(agents))
    async with AsyncExitStack() as started:
        for _, resource in made:
            await resource.start()
            started.push_async_callback(resource.stop)
        works = [asyncio.create_task(worker.run()) for worker, _ in made]
        if ended is not None:
            works[0].add_done_callback(lambda _: ended.set())
        try:
            yield [worker for worker, _ in made]
            for worker, _ in made:
                worker.stop()
            await asyncio.gather(*works)
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)


def tenant() -> str:
    return f"tenant-{uuid4().hex}"


async def spend(client: Client, tenant_id: str) -> None:
    """Every kind of command that moves credits, and some that are refused."""
    common: dict[str, Any] = {"tenant_id": tenant_id}
    await client.send(Purchase(**common, idempotency_key="1", amount=1000, description="card ü"))
    consumed = await client.send(Consume(**common, idempotency_key="2", amount=300))
    await client.send(Reserve(**common, idempotency_key="3", amount=200, reservation_id="r", ttl_s=60))
    await client.send(Commit(**common, idempotency_key="4", reservation_id="r", amount=150))
    await client.send(Refund(**common, idempotency_key="5", transaction_id=consumed.transaction_id, amount=100))
    await client.send(Consume(**common, idempotency_key="6", amount=1_000_000))
    within: list[Single] = [Consume(**common, idempotency_key=f"7{n}", amount=n) for n in range(1, 4)]
    await client.send(Batch(**common, idempotency_key="7", atomic=False, commands=within))


async def test_rows_are_the_topics_records_offset_by_offset(kafka: str, dsn: str) -> None:
    platform = await platform_on(kafka, dsn)
    tenants = [tenant() for _ in range(6)]
    async with Client(platform.connection) as client, running(platform, "credits", "credits-statements"):
        await asyncio.gather(*(spend(client, name) for name in tenants))
        await caught_up(platform.connection, dsn, partitions=PARTITIONS)
    assert await differences(platform.connection, dsn, partitions=PARTITIONS) == []
    rows = await query(
        dsn,
        "SELECT type, amount, balance, batch_index FROM credits.transactions WHERE tenant_id = $1 "
        "ORDER BY input_offset, batch_index NULLS FIRST",
        tenants[0],
    )
    assert rows == [
        ("purchase", 1000, 1000, None),
        ("consume", -300, 700, None),
        ("commit", -150, 550, None),
        ("refund", 100, 650, None),
        ("consume", -1, 649, 0),
        ("consume", -2, 647, 1),
        ("consume", -3, 644, 2),
    ]


async def test_a_difference_is_found(kafka: str, dsn: str) -> None:
    platform = await platform_on(kafka, dsn)
    name = tenant()
    async with Client(platform.connection) as client, running(platform, "credits", "credits-statements"):
        await client.send(Purchase(tenant_id=name, idempotency_key="1", amount=5))
        await caught_up(platform.connection, dsn, partitions=PARTITIONS)
    await query(dsn, "UPDATE credits.accounts SET balance = 6 WHERE tenant_id = $1", name)
    await query(dsn, "DELETE FROM credits.transactions WHERE tenant_id = $1", name)
    account, transaction = await differences(platform.connection, dsn, partitions=PARTITIONS)
    assert f"account {name}: the topic says ('{name}', 5" in account
    assert transaction.endswith("Postgres None")


async def test_an_aborted_record_is_not_written(kafka: str, dsn: str) -> None:
    platform = await platform_on(kafka, dsn)
    aborted, committed = tenant(), tenant()
    schema = Codec(platform.topics, []).schema_header(AccountRow)
    async with AIOKafkaProducer(**platform.connection, transactional_id=f"writer-{aborted}") as producer:
        for name, ends in ((aborted, producer.abort_transaction), (committed, producer.commit_transaction)):
            await producer.begin_transaction()
            row = msgspec.json.encode(AccountRow(name, 1, 0, 0, 1))
            home = home_partition(name, PARTITIONS)
            await producer.send_and_wait(ACCOUNTS, row, key=name.encode(), partition=home, headers=[schema])
            await ends()
    async with running(platform, "credits-statements"):
        await caught_up(platform.connection, dsn, partitions=PARTITIONS)
    names = [name for (name,) in await query(dsn, "SELECT tenant_id FROM credits.accounts")]
    assert (aborted in names, committed in names) == (False, True)


async def test_a_second_worker_takes_over_without_group_offsets(kafka: str, dsn: str) -> None:
    platform = await platform_on(kafka, dsn)
    name = tenant()
    async with Client(platform.connection) as client, running(platform, "credits"):
        async with running(platform, "credits-statements"):
            await client.send(Purchase(tenant_id=name, idempotency_key="1", amount=5))
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
            async with running(platform, "credits-statements") as (second,):
                await until(lambda: second.ready)
                await asyncio.gather(
                    *(client.send(Consume(tenant_id=name, idempotency_key=f"c{n}", amount=1)) for n in range(5))
                )
        async with running(platform, "credits-statements"):
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
    assert await differences(platform.connection, dsn, partitions=PARTITIONS) == []


async def test_the_ledger_goes_on_while_postgres_is_dead_and_the_sink_catches_up(
    kafka: str, own_server: PostgresServer
) -> None:
    async with new_database(own_server.dsn) as dsn:
        platform = await platform_on(kafka, dsn)
        name = tenant()
        async with (
            Client(platform.connection) as client,
            running(platform, "credits", "credits-statements") as (ledger, sink),
        ):
            await until(lambda: ledger.ready and sink.ready)
            await client.send(Purchase(tenant_id=name, idempotency_key="1", amount=1000))
            await own_server.kill()
            await until(lambda: not sink.ready)  # idle partitions notice too
            results = await asyncio.gather(
                *(client.send(Consume(tenant_id=name, idempotency_key=f"c{n}", amount=1)) for n in range(50))
            )
            assert {result.code for result in results} == {Code.OK}
            assert ledger.ready
            assert not sink.ready
            await own_server.start()
            await until(lambda: sink.ready)
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
        assert await differences(platform.connection, dsn, partitions=PARTITIONS) == []


async def test_a_constraint_of_somebody_else_is_named_where_workers_are_watched_until_it_is_gone(
    kafka: str, dsn: str
) -> None:
    platform = await platform_on(kafka, dsn)
    name, metrics = tenant(), Metrics([platform.agent("credits-statements")])
    was_ready: list[bool] = []
    partition = str(home_partition(name, PARTITIONS))

    def measured(metric: str) -> float:
        labels = {"agent": "credits-statements", "partition": partition}
        return metrics.registry.get_sample_value(metric, labels) or 0

    def tried_again() -> bool:
        was_ready.append(sink.ready)
        return measured("shieldx_restarts_total") > 4

    async with Client(platform.connection) as client, running(platform, "credits"):
        await client.send(Purchase(tenant_id=name, idempotency_key="0", amount=100))
        async with running(platform, "credits-statements", metrics=metrics) as (sink,):
            await until(lambda: sink.ready)
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
            await query(dsn, "ALTER TABLE credits.transactions ADD CONSTRAINT theirs CHECK (amount <> -2) NOT VALID")
            for amount in (1, 2, 3):
                await client.send(Consume(tenant_id=name, idempotency_key=f"{amount}", amount=amount))
            await until(lambda: "the constraint theirs of credits.transactions" in sink.waiting_for)
            await until(tried_again)
            assert not any(was_ready), "not even while a new task has started and not yet failed"
            assert measured("shieldx_failing_records") > 0
            await query(dsn, "ALTER TABLE credits.transactions DROP CONSTRAINT theirs")
            await until(lambda: sink.ready)
            assert measured("shieldx_failing_records") == 0
            await caught_up(platform.connection, dsn, partitions=PARTITIONS)
    movements = "SELECT amount FROM credits.transactions WHERE tenant_id = $1 ORDER BY input_offset"
    assert await query(dsn, movements, name) == [(100,), (-1,), (-2,), (-3,)]
    assert await differences(platform.connection, dsn, partitions=PARTITIONS) == [], "nothing set aside, nothing twice"


async def test_a_pooler_that_restarts_is_worked_with_again_and_one_that_shares_sessions_ends_the_worker(
    kafka: str, dsn: str, pgbouncer_program: InstalledPgBouncer, tmp_path: Path
) -> None:
    name, ended = tenant(), asyncio.Event()
    async with pgbouncer(pgbouncer_program, tmp_path, dsn) as pooler:
        platform = await platform_on(kafka, pooler.dsn)

        async def restart_it_twice(client: Client) -> None:
            async with running(platform, "credits-statements", ended=ended) as (sink,):
                await until(lambda: sink.ready)
                pooler.stop()
                await client.send(Consume(tenant_id=name, idempotency_key="1", amount=1))
                await until(lambda: "cannot be reached" in sink.waiting_for)
                await pooler.start()
                await until(lambda: sink.ready)
                await caught_up(platform.connection, dsn, partitions=PARTITIONS)
                pooler.stop()
                await pooler.start({"pool_mode": "transaction"})
                await ended.wait()

        async with Client(platform.connection) as client, running(platform, "credits"):
            await client.send(Purchase(tenant_id=name, idempotency_key="0", amount=100))
            with pytest.raises(FixConfiguration, match="set `pool_mode = session` in PgBouncer"):
                await restart_it_twice(client)
    assert await differences(platform.connection, dsn, partitions=PARTITIONS) == []


async def test_what_is_not_ready_is_named(kafka: str) -> None:
    platform = await platform_on(kafka, "postgresql://nobody@127.0.0.1:1/nothing")
    async with running(platform, "credits", "credits-statements") as workers:
        await until(lambda: workers[0].ready)
        assert [worker.name for worker in workers if not worker.ready] == ["credits-statements"]
        metrics = Metrics([])
        async with HealthServer(
            "127.0.0.1", 0, metrics.registry, lambda: False, lambda: [w.name for w in workers if not w.ready]
        ) as server:
            reader, writer = await asyncio.open_connection(*server.address.split(":"))
            writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = (await reader.read()).decode()
            writer.close()
    assert "503" in answer.splitlines()[0]
    assert answer.endswith("not now: credits-statements\n")
