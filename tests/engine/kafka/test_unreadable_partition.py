"""A defect in reading stops the partition in which it occurs, and costs the others no record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.client import Client
from shieldx.dev.stack import Stack
from shieldx.domains.credits.messages import Code, Purchase
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.kafka import aiokafka_fetcher
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

PARTITIONS = 2
UNREADABLE, READABLE = 1, 0


def purchase() -> Purchase:
    """Of a tenant whose home is the readable partition."""
    while home_partition(tenant_id := f"tenant-{uuid4().hex}", PARTITIONS) != READABLE:
        pass
    return Purchase(tenant_id=tenant_id, idempotency_key="k", amount=1)


@pytest.fixture
def break_partition(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes every read of one partition raise, as a defect of the client library would."""
    records = aiokafka_fetcher._CheckedRecords  # noqa: SLF001 - what would be broken
    read = records._batch  # noqa: SLF001 - likewise

    def raises(self: Any, batch: memoryview) -> Iterator[Any]:
        if self._tp == TopicPartition(COMMANDS, UNREADABLE):
            raise IndexError("defect")
        return read(self, batch)

    return lambda: monkeypatch.setattr(records, "_batch", raises)


async def send_to_the_broken_partition(platform: Platform) -> None:
    async with AIOKafkaProducer(**platform.connection) as producer:
        await producer.send_and_wait(COMMANDS, b"{}", partition=UNREADABLE)


async def test_the_other_partitions_lose_nothing(tmp_path: Path, break_partition: Callable[[], None]) -> None:
    async with Stack(tmp_path) as stack:
        environment = {"SHIELDX_KAFKA_BOOTSTRAP": stack.bootstrap, "SHIELDX_PARTITIONS": str(PARTITIONS)}
        platform = Platform(load_settings(environment))
        await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
        agent = platform.agent("credits")
        ((worker, log),) = make_workers(platform, [agent], Metrics([agent]))
        await log.start()
        work = asyncio.create_task(worker.run())
        await until(lambda: worker.ready)
        async with Client(platform.connection, retry_after_s=60) as client:
            commands = [purchase() for _ in range(400)]
            break_partition()
            await send_to_the_broken_partition(platform)
            results = []
            for start in range(0, len(commands), 20):
                some = (client.send(command) for command in commands[start : start + 20])
                results += await asyncio.gather(*some)
            results += await asyncio.gather(*(client.send(purchase()) for _ in range(100)))
            await until(lambda: not worker.ready, timeout_s=10)
        assert {result.code for result in results} == {Code.OK}, "each at the first sending: no retry covers a loss"
        assert not work.done(), "the worker lives"
        worker.stop()
        await work
        await log.stop()
