"""Workers on a real broker: joining, leaving, and what happens to tasks meanwhile."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.cli import open_transactions as cli_open_transactions
from shieldx.cli.group_lag import lags_of
from shieldx.client import Client
from shieldx.domains.credits.fold import CreditsFold
from shieldx.domains.credits.messages import Code, Consume, Purchase, Reserve
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.operations import open_transactions
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.runtime.task_factory import AgentTaskFactory
from shieldx.engine.runtime.worker import Worker
from shieldx.engine.tasks.log import TopicPartition as LogPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from tests.engine.next_offsets import positions
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from shieldx.engine.tasks.log import Record, TopicPartition
    from shieldx.engine.tasks.position import Position
    from shieldx.messages import Output, Source

pytestmark = pytest.mark.integration

PARTITIONS = 3
SESSION_S = 1.5


@pytest.fixture
async def platform(kafka: str) -> Platform:
    """The platform's real topics, which the tests share; each has tenants of its own."""
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": kafka,
        "SHIELDX_PARTITIONS": str(PARTITIONS),
        "SHIELDX_REPLICATION": "1",
        "SHIELDX_SESSION_TIMEOUT_MS": str(int(SESSION_S * 1000)),
    }
    platform = Platform(load_settings(environment))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return platform


def the_ledger(platform: Platform) -> TransactionalAgent:
    return TransactionalAgent.of(platform.agent("credits"))


@asynccontextmanager
async def running(
    platform: Platform, agent: TransactionalAgent, log: KafkaLog | None = None, ended: asyncio.Event | None = None
) -> AsyncIterator[tuple[Worker, Metrics]]:
    """A worker at work; on the way out it is stopped in order, and what it failed with is raised."""
    metrics = Metrics([agent])
    ((worker, own_log),) = make_workers(platform, [agent], metrics)
    assert isinstance(worker, Worker)
    if log is not None:
        assert isinstance(worker._work, AgentTaskFactory)  # noqa: SLF001 - likewise
        worker._work = replace(worker._work, context=replace(worker._work.context, log=log))  # noqa: SLF001 - replaced by a slow log
    await own_log.start()
    work = asyncio.create_task(worker.run())
    if ended is not None:
        work.add_done_callback(lambda _: ended.set())
    try:
        yield worker, metrics
        worker.stop()
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await own_log.stop()


async def until_ready(*workers: Worker) -> None:
    await until(lambda: all(worker.ready for worker in workers))


def tellers(metrics: Metrics) -> list[str]:
    """The partitions of whose state a worker tells something."""
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    return [s.labels["partition"] for s in samples if s.name == "shieldx_state_bytes" and s.value]


def value_of(metrics: Metrics, name: str) -> float:
    return sum(
        sample.value for family in metrics.registry.collect() for sample in family.samples if sample.name == name
    )


def counted(metrics: Metrics, operation: str) -> float:
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "credits_operations_total" and sample.labels["op"] == operation
    )


def number_of(tenant_id: str) -> int:
    return home_partition(tenant_id, PARTITIONS)


def tenant() -> str:
    return f"tenant-{uuid4().hex}"


def purchase(tenant_id: str, amount: int = 100) -> Purchase:
    return Purchase(tenant_id=tenant_id, idempotency_key=uuid4().hex, amount=amount)


def consume(tenant_id: str, amount: int) -> Consume:
    return Consume(tenant_id=tenant_id, idempotency_key=uuid4().hex, amount=amount)


async def test_a_worker_that_restores_for_three_session_timeouts_is_not_evicted(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    class SlowLog(KafkaLog):
        async def read_to_end(self, *arguments: Any) -> AsyncIterator[Sequence[Record]]:
            await asyncio.sleep(3 * SESSION_S)
            async for records in super().read_to_end(*arguments):
                yield records

    caplog.set_level(logging.INFO, "shieldx.engine.runtime.worker")
    agent = the_ledger(platform)
    slow = SlowLog(platform.connection, agent.positions)
    await slow.start()
    async with running(platform, agent) as (first, _):
        await until_ready(first)
        async with running(platform, agent, slow) as (second, _):
            await until_ready(first, second)
            assigned = [record for record in caplog.records if record.message == "assigned"]
            assert len(assigned) == 3, "once alone, and once each when the second joined"
    await slow.stop()


async def test_state_follows_a_partition_to_another_worker_and_back(platform: Platform) -> None:
    agent, tenants = the_ledger(platform), [tenant() for _ in range(12)]
    async with Client(platform.connection) as client, running(platform, agent) as (first, metrics):
        await until_ready(first)
        for tenant_id in tenants:
            await client.send(purchase(tenant_id))
        held = len(tellers(metrics))
        async with running(platform, agent) as (second, _):
            await until_ready(first, second)
            assert len(tellers(metrics)) < held, "of a partition that is another worker's it tells nothing"
            spent = [await client.send(consume(tenant_id, 30)) for tenant_id in tenants]
            assert {result.account.balance for result in spent} == {70}
        await until_ready(first)
        spent = [await client.send(consume(tenant_id, 30)) for tenant_id in tenants]
        assert {result.account.balance for result in spent} == {40}


async def test_commands_sent_during_a_rebalance_are_answered_once(platform: Platform) -> None:
    agent, tenant_id = the_ledger(platform), tenant()
    async with Client(platform.connection) as client, running(platform, agent) as (first, _):
        await until_ready(first)
        await client.send(purchase(tenant_id, 1000))
        sending = asyncio.gather(*(client.send(consume(tenant_id, 1)) for _ in range(200)))
        async with running(platform, agent) as (second, _):
            await until_ready(first, second)
            results = await sending
    balances = sorted(result.account.balance for result in results)
    assert balances == list(range(800, 1000)), "each balance from 999 down to 800, once"
    assert await count_of_results(platform, tenant_id) == 201, "none was given twice, not even as a replay"


async def count_of_results(platform: Platform, tenant_id: str) -> int:
    log = KafkaLog(platform.connection, "credits.positions")
    partitions = [LogPartition(RESULTS, number) for number in range(PARTITIONS)]
    return sum(
        [sum(record.key == tenant_id.encode() for record in records) async for records in log.read_to_end(partitions)]
    )


async def test_a_command_of_an_aborted_transaction_is_not_answered(platform: Platform) -> None:
    agent, tenant_id = the_ledger(platform), tenant()
    async with AIOKafkaProducer(**platform.connection, transactional_id=f"producer-{tenant_id}") as producer:
        await producer.begin_transaction()
        record = msgspec.json.encode(purchase(tenant_id))
        await producer.send_and_wait(COMMANDS, record, key=tenant_id.encode())
        await producer.abort_transaction()
    async with Client(platform.connection) as client, running(platform, agent) as (worker, _):
        await until_ready(worker)
        assert (await client.send(consume(tenant_id, 1))).code is Code.TENANT_UNKNOWN
    assert await count_of_results(platform, tenant_id) == 1


async def test_a_worker_at_its_memory_limit_waits_and_says_so(platform: Platform) -> None:
    agent, tenant_id = the_ledger(platform), tenant()
    async with Client(platform.connection) as client, running(platform, agent) as (worker, metrics):
        await until_ready(worker)
        await client.send(purchase(tenant_id))
        worker._memory._limit_bytes = 0  # noqa: SLF001 - as if other tasks had filled it
        command = consume(tenant_id, 30)
        waiting = asyncio.create_task(client.send(command))
        await until(lambda: value_of(metrics, "shieldx_waiting") == 1)
        assert not worker.ready
        assert not waiting.done()
        worker._memory._limit_bytes = 10**9  # noqa: SLF001 - freed again
        assert (await waiting).account.balance == 70, "nothing was forgotten, and nothing lost"
        assert worker.ready


async def test_state_without_a_committed_position_stops_the_worker(platform: Platform) -> None:
    class LogWithoutPositions(KafkaLog):
        async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:  # noqa: ARG002 - the port
            return {}

    agent = the_ledger(platform)
    async with Client(platform.connection) as client, running(platform, agent) as (worker, _):
        await until_ready(worker)
        await client.send(purchase(tenant()))
    ended = asyncio.Event()
    without = LogWithoutPositions(platform.connection, agent.positions)
    await without.start()
    with pytest.raises(FixConfiguration, match="does not say how far"):
        async with running(platform, agent, without, ended):
            await ended.wait()
    await without.stop()


async def test_a_static_member_that_restarts_moves_no_partition(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    def assignments() -> int:
        return sum(record.message == "assigned" for record in caplog.records)

    caplog.set_level(logging.INFO, "shieldx.engine.runtime.worker")
    agent = the_ledger(platform)
    static = [
        Platform(msgspec.structs.replace(platform.settings, group_instance_id=name, session_timeout_ms=10_000))
        for name in ("one", "two")
    ]
    async with running(static[0], agent) as (first, _):
        await until_ready(first)
        async with running(static[1], agent) as (second, _):
            await until_ready(first, second)
        before = assignments()
        async with running(static[1], agent) as (second, _):
            await until_ready(first, second)
        assert assignments() - before == 1, "the one that restarted; the other was left alone"


async def test_the_hold_of_a_silent_tenant_expires(platform: Platform) -> None:
    agent, tenant_id = the_ledger(platform), tenant()
    hold = Reserve(tenant_id=tenant_id, idempotency_key="h", amount=60, reservation_id="r", ttl_s=1)
    async with Client(platform.connection) as client, running(platform, agent) as (worker, metrics):
        await until_ready(worker)
        await client.send(purchase(tenant_id))
        held = await client.send(hold)
        assert held.account.available == 40
        await until(lambda: counted(metrics, "expire") >= 1, timeout_s=15)
        assert (await client.send(consume(tenant_id, 100))).code is Code.OK


async def test_a_defect_in_a_fold_stops_its_own_partition_only(platform: Platform) -> None:
    poisoned = tenant()

    class Defective(CreditsFold):
        def apply(self, message: Any, source: Source) -> list[Output]:
            if message.tenant_id == poisoned:
                raise ZeroDivisionError
            return super().apply(message, source)

    agent = replace(the_ledger(platform), fold=Defective)
    async with Client(platform.connection) as client:
        async with running(platform, agent) as (worker, metrics):
            await until_ready(worker)
            unanswered = asyncio.create_task(client.send(purchase(poisoned)))
            await until(lambda: value_of(metrics, "shieldx_restarts_total") >= 2)
            others = [name for name in (tenant() for _ in range(12)) if number_of(name) != number_of(poisoned)]
            results = [await client.send(purchase(name)) for name in others]
            assert {result.code for result in results} == {Code.OK}
            assert not unanswered.done()
        async with running(platform, the_ledger(platform)):
            assert (await unanswered).code is Code.OK, "mended, it is answered: nothing was lost"


async def test_a_partition_that_cannot_be_worked_on_stops_the_worker_with_the_reason(platform: Platform) -> None:
    class LogWithAGap(KafkaLog):
        async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
            return positions(dict.fromkeys(partitions, 7))

        async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
            return dict.fromkeys(partitions, OffsetRange(9, 12))

    agent = the_ledger(platform)
    with_a_gap = LogWithAGap(platform.connection, agent.positions)
    await with_a_gap.start()
    ended = asyncio.Event()
    with pytest.raises(FixConfiguration, match="records 7 to 8 were deleted before they were read"):
        async with running(platform, agent, with_a_gap, ended):
            await ended.wait()
    await with_a_gap.stop()


async def test_a_fenced_task_restores_if_it_is_still_assigned(platform: Platform) -> None:
    agent, tenant_id = the_ledger(platform), tenant()
    intruder = KafkaLog(platform.connection, agent.positions)
    async with Client(platform.connection) as client, running(platform, agent) as (worker, metrics):
        await until_ready(worker)
        await client.send(purchase(tenant_id))
        transactions = await intruder.fence(f"{platform.settings.application}.credits.{number_of(tenant_id)}")
        assert (await client.send(consume(tenant_id, 30))).account.balance == 70
        await transactions.close()
        assert value_of(metrics, "shieldx_fenced_total") == 1


async def test_a_worker_goes_on_from_the_state_that_another_one_left_in_its_folder(
    platform: Platform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class CountingLog(KafkaLog):
        rows = 0

        async def read_to_end(self, *arguments: Any) -> AsyncIterator[Sequence[Record]]:
            async for records in super().read_to_end(*arguments):
                self.rows += len(records)
                yield records

    with_folder = Platform(msgspec.structs.replace(platform.settings, state_folder=tmp_path))
    agent, tenant_id = the_ledger(with_folder), tenant()
    first = consume(tenant_id, 30)
    counting = CountingLog(with_folder.connection, agent.positions)
    await counting.start()
    async with Client(platform.connection) as client:
        async with running(with_folder, agent) as (worker, _):
            await until_ready(worker)
            await client.send(purchase(tenant_id))
            before = await client.send(first)
        async with running(with_folder, agent, counting) as (worker, _):
            await until_ready(worker)
            assert counting.rows == 0, "no row of a table is read again"
            assert await client.send(first) == msgspec.structs.replace(before, replayed=True)
            assert (await client.send(consume(tenant_id, 30))).account.balance == 40
    await counting.stop()
    assert "discarded" not in caplog.text


async def test_an_idle_position_comes_to_stand_behind_the_marker_of_a_transaction(platform: Platform) -> None:
    """Else retention would delete the marker, and the next start take it for a record that was deleted unread."""
    agent, tenant_id = the_ledger(platform), tenant()
    place = LogPartition(COMMANDS, number_of(tenant_id))
    log = KafkaLog(platform.connection, agent.positions, application=platform.settings.application)
    async with running(platform, agent) as (worker, _):
        await until_ready(worker)
        transactional = AIOKafkaProducer(**platform.connection, transactional_id=uuid4().hex)
        async with transactional as producer, producer.transaction():
            sent = await producer.send_and_wait(
                COMMANDS, msgspec.json.encode(purchase(tenant_id)), key=tenant_id.encode(), partition=place.partition
            )
        async with asyncio.timeout(20):
            while (await log.positions([place]))[place].next_offset != sent.offset + 2:  # noqa: ASYNC110 - Kafka sets no Event
                await asyncio.sleep(0.1)


async def test_a_transaction_that_a_client_leaves_open_is_named(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(open_transactions, "HELD_UP_S", 0.3)
    agent, foreign = the_ledger(platform), f"foreign-{uuid4().hex[:8]}"
    place = LogPartition(COMMANDS, 1)
    async with running(platform, agent) as (worker, metrics):
        await until_ready(worker)
        async with AIOKafkaProducer(**platform.connection, transactional_id=foreign) as producer:
            await producer.begin_transaction()
            sent = await producer.send_and_wait(COMMANDS, b"{}", partition=1)
            await until(lambda: not worker.ready)
            assert f"credits (credits.commands/1 waits at offset {sent.offset} for a transaction" in worker.waiting_for
            await until(lambda: value_of(metrics, "shieldx_open_transaction_seconds") > 0.3)
            await producer.send_and_wait(COMMANDS, b"{}", partition=1)  # it is open however busy its producer is
            (found,) = await cli_open_transactions.open_transactions(platform, [place])
            assert (found.first_offset, found.transactional_id) == (sent.offset, foreign)
            tp = KafkaTopicPartition(*place)
            (lag,) = await lags_of(platform, [tp], {tp: sent.offset})
            assert lag.end > sent.offset
            assert lag.lag == lag.waiting >= 1, "with ticks that came after it"
            await producer.abort_transaction()
            await until_ready(worker)
            assert worker.waiting_for == "credits"
            await until(lambda: value_of(metrics, "shieldx_open_transaction_seconds") == 0)
    assert caplog.text.count("`shieldx status` names its producer") == 1


async def test_a_topic_that_is_created_again_ends_the_worker(platform: Platform) -> None:
    class LogOfNewTopics(KafkaLog):
        asked = 0

        async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
            self.asked += 1
            ids = await super().topic_ids(topics)
            return ids if self.asked < 8 else ids | {COMMANDS: "another"}

    agent, ended = the_ledger(platform), asyncio.Event()
    log = LogOfNewTopics(platform.connection, agent.positions)
    await log.start()
    with pytest.raises(FixConfiguration, match=r"topic credits\.commands was deleted and created again while agent"):
        async with running(platform, agent, log, ended):
            await ended.wait()
    await log.stop()
