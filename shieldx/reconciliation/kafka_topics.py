"""`Topics` implemented with aiokafka."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, Self

from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.engine.kafka.clients import new_consumer, started
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import read_ranges
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.kafka.positions import last_positions
from shieldx.reconciliation.topics import PartitionBounds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.tasks.log import Record, TopicPartition
    from shieldx.engine.tasks.position import Position

FETCH_BYTES = 4 * 1024 * 1024
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
        first, committed = (await bounds_of(self._asker, [tp]))[tp]
        _, end = (await bounds_of(self._uncommitted, [tp]))[tp]
        return PartitionBounds(first, committed, end)

    async def position(self, agent: str, tp: TopicPartition) -> int:
        """The next offset that an agent has committed, or 0 if there is none.

        Raises:
            FixConfiguration: The topic of positions belongs to another application.
        """
        found = await self._position(agent, tp)
        return 0 if found is None else found.next_offset

    async def grown_at(self, agent: str, tp: TopicPartition) -> int | None:
        """The agent's next offset when tenants moved to more partitions, or None if they never did.

        Raises:
            FixConfiguration: The topic of positions belongs to another application.
        """
        found = await self._position(agent, tp)
        return None if found is None else found.grown_at

    async def offset_at(self, tp: TopicPartition, at_ms: int) -> int:
        """The first offset whose record was appended at that time or later, or the end if there is none."""
        place = KafkaTopicPartition(*tp)
        found = (await self._asker.offsets_for_times({place: max(0, at_ms)}))[place]
        return (await self.bounds(tp)).committed if found is None else int(found.offset)

    async def read(self, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        """Every committed record from one offset on and below another; waits for transactions open between them."""
        if tp.topic not in self._readers:
            self._readers[tp.topic] = await self._consumer("read_committed")
        consumer, ranges = self._readers[tp.topic], {tp: OffsetRange(start, end)}
        async with aclosing(read_ranges(consumer, ranges, max_records=AT_A_TIME, stall_s=None)) as lists:
            async for records in lists:
                yield records

    async def _position(self, agent: str, tp: TopicPartition) -> Position | None:
        return (await last_positions(self._positions, f"{agent}.positions", [tp], self._application)).get(tp)

    async def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        consumer = new_consumer(
            self._connection, isolation_level=isolation_level, max_partition_fetch_bytes=FETCH_BYTES
        )
        return await self._started.enter_async_context(started(consumer))
