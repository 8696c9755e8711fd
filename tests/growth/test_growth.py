"""Tenants move to more partitions, with their holds, what may be refunded, and every answer that is remembered."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.domains.credits.tables import ACCOUNTS, RESULTS
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.topics.partition_count import check_counts
from shieldx.errors import FixConfiguration
from shieldx.reconciliation import report as names
from shieldx.reconciliation.check import reconcile
from shieldx.settings import load_settings
from tests import programs
from tests.projections import caught_up
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


def reserve(tenant_id: str) -> Body:
    """A hold that expires when its tenant has moved."""
    return {
        "type": "reserve",
        "tenant_id": tenant_id,
        "idempotency_key": "across",
        "reservation_id": "across",
        "amount": 4,
        "ttl_s": 6,
    }


async def until_read(deployment: Deployment) -> None:
    """Return when no agent has yet to read what another one wrote."""
    async with asyncio.timeout(30):
        while await growth(deployment).unread(BEFORE):  # noqa: ASYNC110 - a broker sets no event
            await asyncio.sleep(0.1)


async def work(conversation: Conversation) -> list[Customer]:
    """Each tenant sends commands of every kind."""
    customers = [Customer(conversation.send, tenant, 0, 1) for tenant in TENANTS]
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


async def test_tenants_move_with_everything_that_the_ledger_knows(deployment: Deployment, dsn: str) -> None:
    async with deployment.worker(BEFORE), Conversation(deployment.bootstrap, BEFORE) as conversation:
        customers = await work(conversation)
        with pytest.raises(FixConfiguration, match=r"of agent [a-z]+ is running; stop the workers of every agent"):
            await growth(deployment).run(AFTER, print)
        await asyncio.gather(*(conversation.expired(tenant, "brief-0") for tenant in TENANTS))
        await asyncio.gather(*(conversation.send(reserve(tenant)) for tenant in TENANTS))
        await until_read(deployment)
    with pytest.raises(FixConfiguration, match=r"written with 2 partitions, .*: it can grow to a multiple only"):
        await growth(deployment).run(3, print)
    await send_unanswered(deployment)
    before = await balances(deployment, BEFORE)

    await killed_growth(deployment)
    platform = deployment.platform(AFTER)
    with pytest.raises(FixConfiguration, match="`shieldx topics grow 4`"):
        check_counts(await platform.counts_written(platform.agents.values()), AFTER)
    done: list[SplitDone] = []
    assert await growth(deployment).run(AFTER, done.append) == BEFORE
    assert await balances(deployment, AFTER) == before
    assert await growth(deployment).run(AFTER, done.append) == AFTER, "there is nothing left to do"

    async with deployment.worker(AFTER), Conversation(deployment.bootstrap, AFTER) as conversation:
        again = (differences(conversation.send, each) for customer in customers for each in customer.exchanges)
        assert [text for found in await asyncio.gather(*again) for text in found] == []
        later = [Customer(conversation.send, tenant, 1, 1) for tenant in TENANTS]
        await asyncio.gather(*(conversation.expired(tenant, "across") for tenant in TENANTS))
        await asyncio.gather(*(customer.earlier_holds() for customer in later))
        assert [text for customer in later for text in customer.wrong] == []
        assert {conversation.answers[f"late {tenant}".encode()] for tenant in TENANTS} == {1}
    await each_hold_expired_once(deployment)
    await the_books_are_right(deployment, dsn)


async def each_hold_expired_once(deployment: Deployment) -> None:
    results = [
        msgspec.json.decode(it.value) for its in await read_topic(deployment.bootstrap, RESULTS, AFTER) for it in its
    ]
    expired = Counter(
        it["tenant_id"] for it in results if it.get("reservation_id") == "across" and it["type"] == "expire"
    )
    assert expired == dict.fromkeys(TENANTS, 1)


async def the_books_are_right(deployment: Deployment, dsn: str) -> None:
    """Also in a database that is filled now, from the beginnings of the topics."""
    platform = Platform(load_settings(deployment.settings(AFTER) | {"SHIELDX_POSTGRES_DSN": dsn}))
    sink = platform.agent("credits-statements")
    ((worker, connections),) = make_workers(platform, [sink], Metrics([sink]))
    await connections.start()
    work = asyncio.create_task(worker.run())
    try:
        await caught_up(platform.connection, dsn, partitions=AFTER)
    finally:
        worker.stop()
        await work
        await connections.stop()
    report = await reconcile(
        platform.connection,
        agent=TransactionalAgent.of(platform.agents["credits"]),
        manifests=platform.topics,
        partitions=AFTER,
        application="shieldx",
        dsn=dsn,
        progress=lambda *_: None,
    )
    assert report.faults == []
    compared = {check.name: check.compared for check in report.checks.values()}
    assert compared[names.MIRRORED_ACCOUNTS] == len(TENANTS)
    assert min(compared.values()) > 0, compared
