"""A rolling upgrade, a rollback, and the upgrade again, on one broker while clients send commands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.client import CheckConnection, Client
from shieldx.dev.broker import KafkaBroker
from shieldx.domains.credits.messages import Consume
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings
from tests.lengths import length
from tests.recovery.reading import read_topic
from tests.upgrade.conversation import Conversation
from tests.upgrade.exchanges import MUCH, Customer, Exchange, differences
from tests.upgrade.installed_worker import InstalledWorker
from tests.upgrade.plain_answers import plain_answers
from tests.upgrade.releases import PRESENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.upgrade.releases import Release

pytestmark = [pytest.mark.integration, pytest.mark.soak, pytest.mark.timeout(1200)]

PARTITIONS = 3
ROUNDS = length(short=1, soak=5)
REFUSED = 2


class Deployment:
    """Two workers: one with state on disk, one in memory."""

    def __init__(self, bootstrap: str, state_folder: Path) -> None:
        settings = {
            "SHIELDX_KAFKA_BOOTSTRAP": bootstrap,
            "SHIELDX_APPLICATION": "upgraded",
            "SHIELDX_PARTITIONS": str(PARTITIONS),
            "SHIELDX_REPLICATION": "1",
            "SHIELDX_SESSION_TIMEOUT_MS": "6000",
        }
        self._settings = [settings | {"SHIELDX_STATE_FOLDER": str(state_folder)}, settings]
        self._running: list[InstalledWorker | None] = [None, None]

    async def create_topics(self) -> None:
        platform = Platform(load_settings(self._settings[1]))
        await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)

    async def replace(self, number: int, release: Release, **settings: str) -> None:
        """Stop one worker and start another release in its place."""
        await self.stop(number)
        worker = self._running[number] = await InstalledWorker.start(release, self._settings[number] | settings)
        await worker.until_ready()

    async def stop(self, number: int) -> None:
        worker, self._running[number] = self._running[number], None
        if worker is not None:
            await worker.stop()

    async def refusal(self, number: int, release: Release, **settings: str) -> str:
        """What a worker logs or prints that must refuse to work."""
        worker = await InstalledWorker.start(release, self._settings[number] | settings)
        assert await worker.ended() == REFUSED, worker.logged
        return worker.logged

    async def kill(self) -> None:
        for worker in self._running:
            if worker is not None:
                await worker.kill()


class Clients:
    """Customers in every partition; the last partition gets its first one late."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        names = {home_partition(f"tenant-{number}", PARTITIONS): f"tenant-{number}" for number in range(100)}
        self.tenants = [names[number] for number in range(PARTITIONS)]
        self._begun: set[str] = set()
        self._step = 0
        self.exchanges: list[Exchange] = []

    async def work(self, level: int = 1) -> None:
        """Every customer sends every kind of command."""
        tenants = self.tenants if self._step else self.tenants[:-1]
        for exchanges in await asyncio.gather(*(self._work(tenant_id, level) for tenant_id in tenants)):
            self.exchanges += exchanges
        self._begun |= set(tenants)
        self._step += 1

    async def check(self) -> None:
        """Send again every command that was ever sent: each has its first answer."""
        again = (differences(self._conversation.send, exchange) for exchange in self.exchanges)
        assert [text for found in await asyncio.gather(*again) for text in found] == []

    async def _work(self, tenant_id: str, level: int) -> list[Exchange]:
        customer = Customer(self._conversation.send, tenant_id, self._step, level)
        await customer.work()
        if tenant_id in self._begun:
            await self._conversation.expired(tenant_id, f"brief-{self._step - 1}")
            await customer.earlier_holds()
        assert customer.wrong == []
        return customer.exchanges


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[str]:
    """A broker of this test's own: topics that were finalised serve no other test."""
    started = KafkaBroker(folder)
    await started.start()
    try:
        yield started.bootstrap
    finally:
        await started.kill()


async def test_work_goes_on_through_upgrade_rollback_and_upgrade(next_release: Release, tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as bootstrap:
        deployment = Deployment(bootstrap, tmp_path / "state")
        await deployment.create_topics()
        try:
            async with Conversation(bootstrap, PARTITIONS) as conversation:
                clients = Clients(conversation)
                await roll(deployment, clients, next_release)
                await agree_with_the_plain_ledger(bootstrap)
                await finalise(deployment, clients, next_release)
                await an_old_client_names_the_code_that_it_does_not_know(bootstrap, clients)
                await asyncio.gather(deployment.stop(0), deployment.stop(1))
                assert set(conversation.answers.values()) == {1}, "each command sent has one answer"
        finally:
            await deployment.kill()


async def roll(deployment: Deployment, clients: Clients, next_release: Release) -> None:
    """Both workers of the old release; then back and forth, one worker at a time; in the end both of the new one."""
    await asyncio.gather(*(deployment.replace(number, PRESENT) for number in (0, 1)))
    await clients.work()
    for _ in range(ROUNDS):
        for number, release in ((1, next_release), (0, next_release), (1, PRESENT), (0, PRESENT)):
            await asyncio.gather(deployment.replace(number, release), clients.work())
            await clients.check()
    for number in (0, 1):
        await asyncio.gather(deployment.replace(number, next_release), clients.work())
        await clients.check()


async def agree_with_the_plain_ledger(bootstrap: str) -> None:
    """Every result so far is what the plain model gives for the same commands."""
    results = await read_topic(bootstrap, "credits.results", PARTITIONS)
    commands = await read_topic(bootstrap, "credits.commands", PARTITIONS)
    for number in range(PARTITIONS):
        values = [record.value for record in results[number] if b'"code":"unreadable"' not in record.value]
        assert values
        assert plain_answers(number, commands[number])[: len(values)] == values


async def finalise(deployment: Deployment, clients: Clients, next_release: Release) -> None:
    """Raise the level. The new release remembers what it brings; the old one refuses, and misreads nothing."""
    await deployment.stop(1)
    await deployment.replace(0, next_release, SHIELDX_FORMAT_LEVEL="2")
    await clients.work(level=2)
    assert "spending_limit" in {exchange.answer["code"] for exchange in clients.exchanges}
    await clients.check()

    of_old, of_lowered = await asyncio.gather(
        deployment.refusal(1, PRESENT), deployment.refusal(1, next_release, SHIELDX_FORMAT_LEVEL="1")
    )
    assert "has stored forms of level 2; this release reads levels 1 to 1" in of_old
    assert "SHIELDX_FORMAT_LEVEL is 1: a level cannot be lowered" in of_lowered
    await deployment.replace(1, next_release)
    await clients.check()


async def an_old_client_names_the_code_that_it_does_not_know(bootstrap: str, clients: Clients) -> None:
    command = Consume(tenant_id=clients.tenants[0], idempotency_key="from an old client", amount=MUCH)
    async with Client({"bootstrap_servers": bootstrap}) as client:
        with pytest.raises(CheckConnection, match=r"not a result that this release reads: .*spending_limit"):
            await client.send(command)
