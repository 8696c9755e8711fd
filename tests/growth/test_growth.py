"""Tenants move to more partitions, with their holds, what may be refunded, and every answer that is remembered."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.domains.credits.tables import ACCOUNTS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration
from shieldx.reconciliation.check import reconcile
from tests import programs
from tests.recovery.reading import read_topic
from tests.upgrade.conversation import Conversation
from tests.upgrade.exchanges import Customer, differences
from tests.upgrade.releases import PRESENT

if TYPE_CHECKING:
    from shieldx.engine.topics.growth import Growth, SplitDone
    from tests.growth.deployment import Deployment
    from tests.upgrade.exchanges import Body

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

BEFORE, AFTER = 2, 4
TENANTS = [f"tenant-{number}" for number in range(8)]


def late(tenant_id: str) -> Body:
    """A command that nobody has executed when the topics grow."""
    return {"type": "consume", "tenant_id": tenant_id, "idempotency_key": "late", "amount": 1}


async def work(conversation: Conversation, step: int) -> list[Customer]:
    """Each tenant sends commands of every kind."""
    customers = [Customer(conversation.send, tenant, step, 1) for tenant in TENANTS]
    await asyncio.gather(*(customer.work() for customer in customers))
    assert [text for customer in customers for text in customer.wrong] == []
    return customers


async def send_unanswered(deployment: Deployment) -> None:
    """Commands in flight: half of them in their homes, the others forwarded to them by hand."""
    async with AIOKafkaProducer(bootstrap_servers=deployment.bootstrap) as producer:
        for number, tenant in enumerate(TENANTS):
            headers = [("shieldx-hop", str(BEFORE).encode())] if number % 2 else []
            await producer.send_and_wait(
                "credits.commands",
                msgspec.json.encode(late(tenant)),
                key=tenant.encode(),
                partition=home_partition(tenant, BEFORE),
                headers=[("correlation-id", f"late {tenant}".encode()), *headers],
            )


def growth(deployment: Deployment) -> Growth:
    return deployment.platform(BEFORE).growth


async def killed_growth(deployment: Deployment) -> None:
    """The command, killed after it has split a partition."""
    process = await programs.start_awaitable(
        [sys.executable, "-m", "shieldx", "topics", "grow", str(AFTER), "--yes"],
        env=PRESENT.environment(**deployment.settings(BEFORE)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline()
    process.kill()
    await process.wait()


async def balances(deployment: Deployment, partitions: int) -> dict[bytes, bytes]:
    """The last row of each tenant's account, in its home partition."""
    rows = await read_topic(deployment.bootstrap, ACCOUNTS, partitions)
    return {
        record.key: record.value
        for number in range(partitions)
        for record in rows[number]
        if home_partition(record.key.decode(), partitions) == number
    }


async def test_tenants_move_with_everything_that_the_ledger_knows(deployment: Deployment) -> None:
    async with deployment.worker(BEFORE), Conversation(deployment.bootstrap, BEFORE) as conversation:
        customers = await work(conversation, 0)
        with pytest.raises(FixConfiguration, match=r"of agent [a-z]+ is running; stop the workers of every agent"):
            await growth(deployment).run(AFTER, print)
    with pytest.raises(FixConfiguration, match=r"written with 2 partitions, .*: it can grow to a multiple only"):
        await growth(deployment).run(3, print)
    await send_unanswered(deployment)
    before = await balances(deployment, BEFORE)

    await killed_growth(deployment)
    assert "`shieldx topics grow 4`" in await deployment.refusal(AFTER, "credits", "audit")
    done: list[SplitDone] = []
    assert await growth(deployment).run(AFTER, done.append) == BEFORE
    assert await balances(deployment, AFTER) == before
    assert await growth(deployment).run(AFTER, done.append) == AFTER, "there is nothing left to do"

    async with deployment.worker(AFTER), Conversation(deployment.bootstrap, AFTER) as conversation:
        again = (differences(conversation.send, each) for customer in customers for each in customer.exchanges)
        assert [text for found in await asyncio.gather(*again) for text in found] == []
        later = await work(conversation, 1)
        await asyncio.gather(*(conversation.expired(tenant, "brief-0") for tenant in TENANTS))
        await asyncio.gather(*(customer.earlier_holds() for customer in later))
        assert [text for customer in later for text in customer.wrong] == []
        assert {conversation.answers[f"late {tenant}".encode()] for tenant in TENANTS} == {1}
    await the_books_are_right(deployment)


async def the_books_are_right(deployment: Deployment) -> None:
    platform = deployment.platform(AFTER)
    report = await reconcile(
        platform.connection,
        agent=platform.agents["credits"],
        manifests=platform.topics,
        partitions=AFTER,
        application="shieldx",
        dsn=None,
        progress=lambda *_: None,
    )
    assert report.faults == []
