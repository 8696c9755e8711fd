"""A record that the client library cannot decode stops its own partition, and costs the others no record."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.client import Client
from shieldx.dev.stack import Stack
from shieldx.domains.credits.messages import Code, Purchase
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings
from tests import programs
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

PARTITIONS = 2
UNREADABLE, READABLE = 1, 0


SEND = """
import asyncio, sys
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

class NotUtf8(str):
    def encode(self, *_):
        return bytes([255, 254])

async def send(bootstrap, topic, partition):
    # The builder written in C insists on UTF-8 as well.
    message_accumulator.DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"k", value=b"{}", headers=[(NotUtf8("name"), b"")])
        batch.close()
        await (await producer.send_batch(batch, topic, partition=int(partition)))

asyncio.run(send(*sys.argv[1:]))
"""
"""A header's name as any other client may send it, from a process of its own: what it replaces is aiokafka's."""


def purchase() -> Purchase:
    """Of a tenant whose home is the readable partition."""
    while home_partition(tenant_id := f"tenant-{uuid4().hex}", PARTITIONS) != READABLE:
        pass
    return Purchase(tenant_id=tenant_id, idempotency_key="k", amount=1)


async def send_what_cannot_be_decoded(bootstrap: str) -> None:
    arguments = ["-c", SEND, bootstrap, COMMANDS, str(UNREADABLE)]
    process = await programs.start_awaitable([sys.executable, *arguments])
    assert await process.wait() == 0


async def test_the_other_partitions_lose_nothing(tmp_path: Path) -> None:
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
            poisoning = asyncio.create_task(send_what_cannot_be_decoded(stack.bootstrap))
            results = []
            for start in range(0, len(commands), 20):
                some = (client.send(command) for command in commands[start : start + 20])
                results += await asyncio.gather(*some)
            await poisoning
            results += await asyncio.gather(*(client.send(purchase()) for _ in range(100)))
            await until(lambda: not worker.ready, timeout_s=10)
        assert {result.code for result in results} == {Code.OK}, "each at the first sending: no retry covers a loss"
        assert not work.done(), "the worker lives"
        worker.stop()
        await work
        await log.stop()
