"""The ledger and the audit log on a broker of their own, as one worker process that is stopped and started again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from shieldx.bootstrap.platform import Platform
from shieldx.dev.broker import KafkaBroker
from shieldx.settings import load_settings
from tests.upgrade.installed_worker import InstalledWorker
from tests.upgrade.releases import PRESENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

AGENTS = ("credits", "audit", "shadow")
REFUSED = 2


class Deployment:
    """Settings, topics and workers. Tests alter the topics, so no other test can use the broker."""

    def __init__(self, bootstrap: str, keyring: Path) -> None:
        self.bootstrap = bootstrap
        self._keyring = keyring

    def settings(self, partitions: int) -> dict[str, str]:
        return {
            "SHIELDX_KAFKA_BOOTSTRAP": self.bootstrap,
            "SHIELDX_PARTITIONS": str(partitions),
            "SHIELDX_REPLICATION": "1",
            "SHIELDX_AUDIT_KEYRING_FILE": str(self._keyring),
            "SHIELDX_SESSION_TIMEOUT_MS": "6000",
        }

    def platform(self, partitions: int) -> Platform:
        return Platform(load_settings(self.settings(partitions)))

    async def create_topics(self, partitions: int) -> None:
        platform = self.platform(partitions)
        await platform.topic_admin.create(platform.topics, partitions=partitions, replication=1)

    async def alter(self, topics: Iterable[str], partitions: int) -> None:
        """Do what `kafka-topics.sh --alter --partitions` does."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_partitions({name: NewPartitions(total_count=partitions) for name in topics})
        finally:
            await admin.close()

    @asynccontextmanager
    async def worker(self, partitions: int) -> AsyncIterator[InstalledWorker]:
        """A worker that is ready within the block, and ends in order behind it."""
        worker = await InstalledWorker.start(PRESENT, self.settings(partitions), AGENTS)
        try:
            await worker.until_ready()
            yield worker
            await worker.stop()
        finally:
            await worker.kill()

    async def refusal(self, partitions: int, *agents: str) -> str:
        """What a worker logs that must refuse to start."""
        worker = await InstalledWorker.start(PRESENT, self.settings(partitions), agents)
        assert await worker.ended() == REFUSED, worker.logged
        assert '"ready"' not in worker.logged
        return worker.logged


@asynccontextmanager
async def new_deployment(folder: Path, keyring: Path) -> AsyncIterator[Deployment]:
    """A deployment without topics."""
    broker = KafkaBroker(folder)
    await broker.start()
    try:
        yield Deployment(broker.bootstrap, keyring)
    finally:
        await broker.kill()
