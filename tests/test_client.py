from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.client import CheckConnection, Client, SendAgain
from shieldx.domains.credits.messages import Code, Purchase, Result
from shieldx.domains.credits.tables import RESULTS
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.codec import CORRELATION_ID
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration


def purchase() -> Purchase:
    return Purchase(tenant_id=f"tenant-{uuid4().hex}", idempotency_key=uuid4().hex, amount=100)


@pytest_asyncio.fixture(loop_scope="session")
async def platform(kafka: str) -> Platform:
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": kafka, "SHIELDX_PARTITIONS": "3"}))
    await platform.topic_admin.create(platform.topics, partitions=3, replication=1)
    return platform


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(platform: Platform) -> AsyncIterator[None]:
    agent = platform.agent("credits")
    ((worker, log),) = make_workers(platform, [agent], Metrics([agent]))
    await log.start()
    work = asyncio.create_task(worker.run())
    yield
    worker.stop()
    await work
    await log.stop()


@pytest.mark.usefixtures("ledger")
async def test_many_callers_each_get_their_own_result(platform: Platform) -> None:
    commands = [purchase() for _ in range(50)]
    async with Client(platform.connection) as client:
        results = await asyncio.gather(*(client.send(command) for command in commands))
    assert [result.idempotency_key for result in results] == [command.idempotency_key for command in commands]
    assert {result.code for result in results} == {Code.OK}


@pytest.mark.usefixtures("ledger")
async def test_a_command_sent_again_is_answered_again(platform: Platform) -> None:
    command = purchase()
    async with Client(platform.connection) as client:
        first, second = await client.send(command), await client.send(command)
    assert second == msgspec.structs.replace(first, replayed=True)


async def test_without_a_result_the_caller_is_told_to_send_again(platform: Platform) -> None:
    async with Client(platform.connection) as client:
        with pytest.raises(SendAgain, match="same key"):
            await client.send(purchase(), timeout_s=0.3)


async def test_while_no_result_comes_the_command_is_sent_again_with_the_same_key(platform: Platform) -> None:
    """No result arrives at first; the test then answers the second copy as the ledger would."""
    sent: list[bytes] = []

    class Listening(Client):
        async def _send(self, command: Purchase, correlation_id: bytes) -> None:  # type: ignore[override]
            sent.append(correlation_id)
            if len(sent) == 2:
                await answer(command, correlation_id)

    async def answer(command: Purchase, correlation_id: bytes) -> None:
        value = {
            "idempotency_key": command.idempotency_key,
            "tenant_id": command.tenant_id,
            "type": "purchase",
            "code": "ok",
            "transaction_id": "0-0",
            "balance": dict.fromkeys(("balance", "reserved_funds", "available", "total_spent", "total_purchased"), 0),
            "at": "2026-01-01T00:00:00.000Z",
            "replayed": False,
        }
        async with AIOKafkaProducer(**platform.connection) as producer:
            headers = [(CORRELATION_ID, correlation_id)]
            await producer.send_and_wait(RESULTS, msgspec.json.encode(value), headers=headers)

    async with Listening(platform.connection, retry_after_s=0.2) as client:
        result = await client.send(purchase())
    assert isinstance(result, Result)
    assert sent[0] == sent[1], "one correlation id for all copies"


async def test_closing_tells_the_waiting_to_send_again(platform: Platform) -> None:
    client = Client(platform.connection)
    await client.start()
    waiting = asyncio.create_task(client.send(purchase()))
    await asyncio.sleep(0)
    await client.stop()
    with pytest.raises(SendAgain):
        await waiting


async def test_no_broker_is_an_error_that_names_the_address() -> None:
    with pytest.raises(CheckConnection, match=r"127\.0\.0\.1:1"):
        await Client({"bootstrap_servers": "127.0.0.1:1"}).start()
