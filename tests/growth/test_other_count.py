"""Data that was written with one partition count is not touched by workers that are set to another one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.cli.topics import WRITTEN, differences
from shieldx.engine.topics.admin import Difference
from tests.recovery.reading import read_topic
from tests.upgrade.conversation import Conversation

if TYPE_CHECKING:
    from tests.growth.deployment import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

BEFORE, AFTER = 2, 4
TENANTS = [f"tenant-{number}" for number in range(8)]


async def until_told(deployment: Deployment) -> None:
    """Have a purchase of each tenant answered."""
    async with Conversation(deployment.bootstrap, BEFORE) as conversation:
        await asyncio.gather(*(conversation.send(purchase(tenant)) for tenant in TENANTS))


def purchase(tenant_id: str) -> dict[str, object]:
    return {"type": "purchase", "tenant_id": tenant_id, "idempotency_key": "k1", "amount": 10}


async def send_again(deployment: Deployment) -> None:
    """The same purchases again, which Kafka's clients now send to the partitions that were added, too."""
    async with AIOKafkaProducer(bootstrap_servers=deployment.bootstrap) as producer:
        for tenant in TENANTS:
            value = msgspec.json.encode(purchase(tenant))
            await producer.send_and_wait("credits.commands", value, key=tenant.encode())


async def test_no_worker_starts_on_topics_that_were_altered(deployment: Deployment) -> None:
    async with deployment.worker(BEFORE):
        await until_told(deployment)
    topics = deployment.platform(BEFORE).topics
    await deployment.alter(["credits.commands"], AFTER)
    assert "topic 'credits.commands' has 4 partitions, SHIELDX_PARTITIONS says 2" in await deployment.refusal(
        BEFORE, "credits"
    )
    await deployment.alter(topics.keys() - {"credits.commands"}, AFTER)
    await send_again(deployment)

    for agent in ("credits", "credits-statements", "shadow-evaluators"):
        refused = await deployment.refusal(AFTER, agent)
        assert "was written with 2 partitions, and SHIELDX_PARTITIONS is 4" in refused
        assert "assigned" not in refused, "not even for the partitions that have no position yet"
    found = await differences(deployment.platform(AFTER))
    assert Difference("credits.positions", WRITTEN, "4", "2") in found, "status and `topics diff` say so, too"
    results = await read_topic(deployment.bootstrap, "credits.results", AFTER)
    assert sum(map(len, results)) == len(TENANTS), "nothing was executed again"
