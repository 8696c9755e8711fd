"""An evaluation on a real broker, with a client that writes to the ledger under the ids of the platform."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.client import Client
from shieldx.domains.credits.messages import Abort, Code, Purchase, Reserve
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.domains.shadow import tables
from shieldx.domains.shadow.messages import Evaluate
from shieldx.domains.shadow.rule import Signature
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings
from tests.domains.shadow.test_forged_payments import ANSWERED, foreseen_token
from tests.recovery.shadow_traffic import Sender, samples
from tests.workers_in_process import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import ConsumerRecord

pytestmark = pytest.mark.integration

PARTITIONS = 3
PRICE_PER_1000 = 5_000
SAMPLES = 100
PRICE = 500
KEYRING = msgspec.json.encode({"first": "k", "keys": {"k": b64encode(b"k" * 32).decode()}}).decode()


@pytest_asyncio.fixture(loop_scope="session")
async def platform(kafka: str) -> Platform:
    given = {
        "KAFKA_BOOTSTRAP": kafka,
        "PARTITIONS": PARTITIONS,
        "SHADOW_PRICE_PER_1000": PRICE_PER_1000,
        "SHADOW_PROCESSES": 1,
        "PLATFORM_KEYRING": KEYRING,
    }
    platform = Platform(load_settings({f"SHIELDX_{name}": str(value) for name, value in given.items()}))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return platform


async def first(platform: Platform, topic: str, wanted: Callable[[ConsumerRecord], bool]) -> Any:
    """The first record of a topic that is wanted."""
    consumer = AIOKafkaConsumer(
        topic, **platform.connection, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(60):
        async for record in consumer:
            if record.value is not None and wanted(record):
                return record
    raise AssertionError("a consumer never ends")


class Forger:
    """A client of one tenant that writes what it likes."""

    def __init__(self, platform: Platform, producer: AIOKafkaProducer, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self._platform = platform
        self._producer = producer
        self._home = home_partition(tenant_id, PARTITIONS)

    async def ask(self) -> ConsumerRecord:
        """Ask for an evaluation; returns its record, with what the broker says of it."""
        rule = Signature(pattern="select")
        evaluate = Evaluate(tenant_id=self.tenant_id, rule_id="r", rule_config=rule, sample_size=SAMPLES, eval_id="a")
        at = await self._send(tables.EVALUATIONS, evaluate)
        return await first(self._platform, tables.EVALUATIONS, lambda it: (it.partition, it.offset) == at)

    async def reserve(self, reservation_id: str) -> None:
        """Hold one credit under an id, and have the agent told so."""
        key = f"{reservation_id}/reserve"
        command = Reserve(
            tenant_id=self.tenant_id, idempotency_key=key, amount=1, reservation_id=reservation_id, ttl_s=3600
        )
        await self._send(COMMANDS, command, ANSWERED)

    async def _send(
        self, topic: str, message: msgspec.Struct, headers: list[tuple[str, bytes]] | None = None
    ) -> tuple[int, int]:
        at = await self._producer.send_and_wait(
            topic,
            msgspec.json.encode(message),
            key=self.tenant_id.encode(),
            partition=self._home,
            headers=headers or [],
        )
        return at.partition, at.offset


async def test_an_evaluation_costs_its_price_whatever_a_client_writes(platform: Platform) -> None:
    tenant = f"forger-{uuid4().hex}"
    connection = platform.connection
    async with (
        AIOKafkaProducer(**connection) as producer,
        Client(connection) as client,
        running(platform, "credits"),
    ):
        forger = Forger(platform, producer, tenant)
        await Sender(producer, PARTITIONS).import_samples(tenant, samples(1))
        await client.send(Purchase(tenant_id=tenant, idempotency_key="p", amount=10_000))
        request = await forger.ask()
        await forger.reserve(f"shadow/a/{foreseen_token(request)}")
        async with running(platform, "shadow"):
            # The result of the agent's own reservation tells everybody its id.
            held = await first(platform, RESULTS, lambda it: it.key == tenant.encode() and b'"amount":500' in it.value)
            key = msgspec.json.decode(held.value)["idempotency_key"]
            abort = Abort(tenant_id=tenant, idempotency_key="mine", reservation_id=key.removesuffix("/reserve"))
            assert (await client.send(abort)).code is Code.RESERVED_NAME
            async with running(platform, "shadow-evaluators"):
                report = await first(platform, tables.REPORTS, lambda it: it.key == tenant.encode())
        paid = await client.send(Purchase(tenant_id=tenant, idempotency_key="last", amount=1))
    charge = msgspec.json.decode(report.value)["charge"]
    assert (charge["status"], charge["amount"], paid.account.total_spent) == ("committed", PRICE, PRICE)
    assert paid.account.reserved_funds == 0
