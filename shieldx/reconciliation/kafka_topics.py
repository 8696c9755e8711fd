"""`Topics` implemented with aiokafka."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.engine.kafka.positions import last_positions
from shieldx.reconciliation.topics import PartitionBounds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    from shieldx.engine.tasks.log import Record, TopicPartition

FETCH_BYTES = 4 * 1024 * 1024
POLL_MS = 500
AT_A_TIME = 2000
"""The maximum number of records per read. Records of 1 MB would take that many MB of memory."""


class KafkaTopics:
    """`Topics` on Kafka. Only one partition of a topic may be read at a time."""

    def __init__(self, connection: Mapping[str, Any], application: str) -> None:
        self._connection = dict(connection)
        self._application = application
        self._started = AsyncExitStack()
        self._readers: dict[str, AIOKafkaConsumer] = {}

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            KafkaError: No broker responds.
        """
        # Offset queries use a consumer that fetches nothing, because a request waits behind a fetch on its connection.
        self._positions = await self._consumer("read_committed")
        self._asker = await self._consumer("read_committed")
        self._uncommitted = await self._consumer("read_uncommitted")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._started.aclose()

    async def bounds(self, tp: TopicPartition) -> PartitionBounds:
        """The offsets of a partition."""
        place = KafkaTopicPartition(*tp)
        first = (await self._asker.beginning_offsets([place]))[place]
        committed = (await self._asker.end_offsets([place]))[place]
        return PartitionBounds(first, committed, (await self._uncommitted.end_offsets([place]))[place])

    async def position(self, agent: str, tp: TopicPartition) -> int:
        """The next offset that an agent has committed, or 0 if there is none.

        Raises:
            FixConfiguration: The topic of positions belongs to another application.
        """
        found = await last_positions(self._positions, f"{agent}.positions", [tp], self._application)
        return found.get(tp, 0)

    async def offset_at(self, tp: TopicPartition, at_ms: int) -> int:
        """The first offset whose record was appended at that time or later, or the end if there is none."""
        place = KafkaTopicPartition(*tp)
        found = (await self._asker.offsets_for_times({place: max(0, at_ms)}))[place]
        return (await self.bounds(tp)).committed if found is None else int(found.offset)

    async def read(self, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        """Yield the committed records from `start` to `end`, excluded. Waits for transactions that are open there."""
        if start >= end:
            return
        if tp.topic not in self._readers:
            self._readers[tp.topic] = await self._consumer("read_committed")
        consumer, place = self._readers[tp.topic], KafkaTopicPartition(*tp)
        consumer.assign([place])
        consumer.seek(place, start)

        def fetch() -> asyncio.Task[Any]:
            return asyncio.create_task(consumer.getmany(place, timeout_ms=POLL_MS, max_records=AT_A_TIME))

        fetching = fetch()
        try:
            more = True
            while more:
                records = (await fetching).get(place, [])
                more = await consumer.position(place) < end
                if more:  # the broker responds while these are processed
                    fetching = fetch()
                if records and records[-1].offset >= end:
                    records = [record for record in records if record.offset < end]
                if records:
                    yield records
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._connection,
            isolation_level=isolation_level,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        self._started.push_async_callback(consumer.stop)
        await consumer.start()
        await asyncio.sleep(0)  # stopping raises if aiokafka's own tasks have not started
        return consumer
