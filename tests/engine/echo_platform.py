"""A platform on a real broker that has the echo agent alone, and what a test does with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.engine.operations.metrics import Metrics
from shieldx.settings import load_settings
from tests.engine.echo_agent import PARTITIONS, Ask, Echo, Echoing, Names, echo, new_names, write_home
from tests.polling import until, until_answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from aiokafka import ConsumerRecord
    from aiokafka.structs import OffsetAndMetadata

    from shieldx.engine.declarations.replayable import Replayable
    from shieldx.engine.replayable.worker import ReplayableWorker

SESSION_S = 2.0


class EchoPlatform:
    """The topics of one test, and its workers."""

    def __init__(self, settings: Mapping[str, str], home: Path, names: Names, processes: int = 8) -> None:
        self.names = names
        self.environment = dict(settings) | {
            "SHIELDX_PARTITIONS": str(PARTITIONS),
            "SHIELDX_REPLICATION": "1",
            "SHIELDX_HOME": str(home),
            "SHIELDX_SESSION_TIMEOUT_MS": str(int(SESSION_S * 1000)),
            "SHIELDX_SHADOW_PROCESSES": str(processes),
        }
        self.platform = Platform(load_settings(self.environment))

    @asynccontextmanager
    async def worker(self, answering: Echoing | None = None) -> AsyncIterator[tuple[ReplayableWorker, Metrics]]:
        """A worker at work; on the way out it is stopped in order, and what it failed with is raised."""
        agent: Replayable = echo(self.names, answering=answering)
        metrics = Metrics([agent])
        ((worker, deliveries),) = make_workers(self.platform, [agent], metrics)
        await deliveries.start()
        work = asyncio.create_task(worker.run())
        try:
            await until(lambda: worker.ready or work.done())
            yield worker, metrics
            worker.stop()
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await deliveries.stop()

    async def send(self, *values: Ask | bytes | None, partition: int | None = None, **options: Any) -> list[int]:
        """Send asks, each to the partition of its number unless told otherwise; returns their offsets."""
        async with AIOKafkaProducer(**self.platform.connection) as producer:
            sent = []
            for value in values:
                number = partition if partition is not None else value.number % PARTITIONS  # type: ignore[union-attr]
                body = msgspec.json.encode(value) if isinstance(value, Ask) else value
                sent.append(await producer.send(self.names.asks, body, key=b"acme", partition=number, **options))
            return [metadata.offset for metadata in await asyncio.gather(*sent)]

    async def recreate_asks(self) -> None:
        """Delete the topic of asks and create it again."""
        async with _admin(self.platform) as admin:
            await admin.delete_topics([self.names.asks])
        absent: dict[str, object] = {}
        await until_answered(lambda: self.platform.topic_admin.describe([self.names.asks]), absent)
        topic = {self.names.asks: self.platform.topics[self.names.asks]}
        await self.platform.topic_admin.create(topic, partitions=PARTITIONS, replication=1)

    async def committed(self) -> dict[int, int]:
        """The next offsets as the group knows them, by partition."""
        async with _admin(self.platform) as admin:
            tps = [TopicPartition(self.names.asks, number) for number in range(PARTITIONS)]
            found = await admin.list_consumer_group_offsets(f"shieldx.{self.names.agent}", partitions=tps)
        return {tp.partition: place.offset for tp, place in found.items() if place.offset >= 0}

    async def commit(self, positions: dict[int, OffsetAndMetadata]) -> None:
        """Commit offsets for the group, as a member would."""
        options = {"group_id": f"shieldx.{self.names.agent}", "enable_auto_commit": False}
        async with AIOKafkaConsumer(**self.platform.connection, **options) as member:
            member.assign([TopicPartition(self.names.asks, number) for number in positions])
            await member.commit({TopicPartition(self.names.asks, number): it for number, it in positions.items()})

    async def until_committed(self, wanted: dict[int, int]) -> None:
        """Return when the group knows these offsets."""
        async with asyncio.timeout(30):
            while (known := await self.committed()) != known | wanted:  # noqa: ASYNC110 - a broker sets no event
                await asyncio.sleep(0.1)

    async def read(self, topic: str, enough: Callable[[list[ConsumerRecord]], bool]) -> list[ConsumerRecord]:
        """Committed records of a topic, from its beginning until there are enough."""
        read: list[ConsumerRecord] = []
        consumer = AIOKafkaConsumer(
            topic, **self.platform.connection, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        async with consumer, asyncio.timeout(60):
            while not enough(read):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    read += records
        return read

    async def echoes(self, numbers: Iterable[int]) -> list[ConsumerRecord]:
        """The echoes until each of these numbers has one."""
        wanted = set(numbers)
        return await self.read(self.names.echoes, lambda read: wanted <= {number_of(record) for record in read})


@asynccontextmanager
async def new_platform(
    kafka: str | Mapping[str, str], folder: Path, *, processes: int = 8
) -> AsyncIterator[EchoPlatform]:
    """A platform with topics of its own, at an address or where some settings say."""
    settings = {"SHIELDX_KAFKA_BOOTSTRAP": kafka} if isinstance(kafka, str) else kafka
    names = new_names()
    found = EchoPlatform(settings, write_home(folder, names), names, processes)
    await found.platform.topic_admin.create(found.platform.topics, partitions=PARTITIONS, replication=1)
    yield found


def number_of(record: ConsumerRecord) -> int:
    """The number that an echo repeats."""
    return msgspec.json.decode(record.value, type=Echo).number


@asynccontextmanager
async def _admin(platform: Platform) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**platform.connection)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
