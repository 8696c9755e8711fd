"""Ranges of committed records, read from a broker."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from shieldx.engine.kafka.clients import new_admin, new_consumer, new_producer, started
from shieldx.engine.kafka.cluster import Cluster, bounds_of
from shieldx.engine.kafka.committed_range import (
    RangeNotThere,
    read_ranges,
    records_from,
    records_of,
    start_at_end,
)
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import CheckConnection, RestoreTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiokafka import AIOKafkaConsumer

pytestmark = pytest.mark.integration

PARTITIONS = 3
TIMEOUT_S = 30


class Topic:
    """A topic of its own, to which transactions and plain records are written."""

    def __init__(self, bootstrap: str) -> None:
        self.connection = {"bootstrap_servers": bootstrap}
        self.name = f"range-{uuid4().hex[:8]}"

    def tp(self, partition: int = 0) -> TopicPartition:
        return TopicPartition(self.name, partition)

    async def create(self) -> None:
        async with started(new_admin(self.connection)) as admin:
            await admin.create_topics([NewTopic(self.name, PARTITIONS, 1)])

    async def append(self, count: int, *, partition: int = 0, value: bytes = b"") -> None:
        async with started(new_producer(self.connection)) as producer:
            for number in range(count):
                await producer.send(self.name, value or b"%d" % number, partition=partition)
            await producer.flush()

    async def transact(self, values: Mapping[int, bytes], *, abort: bool = False) -> None:
        """Write a value to each of some partitions in one transaction."""
        async with started(new_producer(self.connection, transactional_id=self.name)) as producer:
            await producer.begin_transaction()
            for partition, value in values.items():
                await producer.send_and_wait(self.name, value, partition=partition)
            await (producer.abort_transaction() if abort else producer.commit_transaction())

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        async with started(new_admin(self.connection)) as admin:
            await admin.delete_records({KafkaTopicPartition(*tp): RecordsToDelete(offset)})


@pytest.fixture
async def topic(kafka: str) -> Topic:
    made = Topic(kafka)
    await made.create()
    return made


@pytest.fixture
async def consumer(topic: Topic) -> AsyncIterator[AIOKafkaConsumer]:
    async with started(new_consumer(topic.connection)) as made, asyncio.timeout(TIMEOUT_S):
        yield made


async def offsets(consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]) -> dict[int, list[int]]:
    """The offsets of the records in some ranges, by partition."""
    found: dict[int, list[int]] = {}
    async for record in records_of(consumer, ranges):
        found.setdefault(record.partition, []).append(record.offset)
    return found


async def test_each_partition_is_read_from_its_begin_up_to_its_end(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    for partition in range(PARTITIONS):
        await topic.append(10, partition=partition)
    ranges = {topic.tp(0): OffsetRange(2, 5), topic.tp(1): OffsetRange(0, 10), topic.tp(2): OffsetRange(4, 4)}
    assert await offsets(consumer, ranges) == {0: [2, 3, 4], 1: list(range(10))}


async def test_markers_and_aborted_records_are_passed_over(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    await topic.transact({0: b"one"})
    await topic.transact({0: b"aborted", 1: b"aborted"}, abort=True)
    await topic.transact({0: b"two"})
    held = await bounds_of(consumer, [topic.tp(0), topic.tp(1)])
    assert held == {topic.tp(0): (0, 6), topic.tp(1): (0, 2)}, "a transaction's marker takes an offset"
    assert await offsets(consumer, held) == {0: [0, 4]}
    assert await offsets(consumer, {topic.tp(0): OffsetRange(1, 4)}) == {}


async def test_no_more_than_one_fetch_of_a_partition_comes_at_once(topic: Topic) -> None:
    value, count, fetch_bytes = bytes(50_000), 40, 200_000
    await topic.append(count, value=value)
    async with started(new_consumer(topic.connection, max_partition_fetch_bytes=fetch_bytes)) as consumer:
        ranges = await bounds_of(consumer, [topic.tp()])
        sizes = [len(records) async for records in read_ranges(consumer, ranges)]
    assert sum(sizes) == count
    # A batch is never cut: one of up to 16 kB, or of one record, may come on top.
    assert max(sizes) * len(value) <= fetch_bytes + len(value)


async def test_a_list_has_no_more_records_than_asked_for(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    await topic.append(100)
    lists = [len(each) async for each in read_ranges(consumer, {topic.tp(): OffsetRange(0, 95)}, max_records=10)]
    assert sum(lists) == 95
    assert max(lists) == 10


async def test_a_range_behind_an_open_transaction_is_read_once_that_has_ended(
    topic: Topic, consumer: AIOKafkaConsumer
) -> None:
    async with started(new_producer(topic.connection, transactional_id=topic.name)) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic.name, b"open", partition=0)
        await topic.append(1)
        behind = {topic.tp(): OffsetRange(1, 2)}
        assert (await bounds_of(consumer, behind))[topic.tp()] == (0, 0)
        with pytest.raises(KafkaTimeoutError, match=r"gave nothing from offset 1 on for 0\.5 s"):
            await anext(read_ranges(consumer, behind, stall_s=0.5))
        reading = asyncio.create_task(offsets(consumer, behind))
        await producer.commit_transaction()
        assert await reading == {0: [1]}


async def test_a_range_that_the_partition_ends_before_is_not_there(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    await topic.append(3)
    with pytest.raises(RangeNotThere, match=f"{topic.name}/0 ends at offset 3") as raised:
        await offsets(consumer, {topic.tp(): OffsetRange(1, 5)})
    assert raised.value.end == 3


async def test_a_range_whose_records_were_deleted_is_an_error(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    await topic.append(10)
    await topic.delete_before(topic.tp(), 5)
    with pytest.raises(OffsetOutOfRangeError):
        await offsets(consumer, {topic.tp(): OffsetRange(2, 10)})


async def test_a_consumer_that_resets_offsets_passes_over_what_was_deleted(topic: Topic) -> None:
    await topic.append(10)
    await topic.delete_before(topic.tp(), 5)
    async with started(new_consumer(topic.connection, auto_offset_reset="earliest")) as consumer:
        assert await offsets(consumer, {topic.tp(): OffsetRange(2, 8)}) == {0: [5, 6, 7]}


async def test_a_reading_that_was_closed_leaves_the_consumer_to_the_next(
    topic: Topic, consumer: AIOKafkaConsumer
) -> None:
    await topic.append(10)
    async with aclosing(records_of(consumer, {topic.tp(): OffsetRange(0, 10)})) as records:
        assert (await anext(records)).offset == 0
    assert await offsets(consumer, {topic.tp(): OffsetRange(3, 6)}) == {0: [3, 4, 5]}


async def test_nothing_is_read_of_no_ranges(consumer: AIOKafkaConsumer) -> None:
    assert await offsets(consumer, {}) == {}
    assert await bounds_of(consumer, []) == {}


async def test_steps_back_read_everything_once(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    for number in range(8):
        await topic.transact({0: b"%d" % number})
    held = (await bounds_of(consumer, [topic.tp()]))[topic.tp()]
    parts = [await offsets(consumer, {topic.tp(): part}) for part in held.steps_back(3)]
    assert len(parts) > 2
    assert sorted(offset for part in parts for offset in part.get(0, [])) == list(range(0, 16, 2))


async def test_from_some_offsets_on_what_comes_later_is_read_too(topic: Topic, consumer: AIOKafkaConsumer) -> None:
    await topic.append(3)
    async with aclosing(records_from(consumer, {topic.tp(): 2})) as records:
        assert (await anext(records)).offset == 2
        await topic.append(1)
        assert (await anext(records)).offset == 3


async def test_a_consumer_at_the_end_sees_what_is_committed_from_then_on(
    topic: Topic, consumer: AIOKafkaConsumer
) -> None:
    await topic.append(3)
    await start_at_end(consumer, [topic.tp(number) for number in range(PARTITIONS)])
    await topic.append(1)
    await topic.append(1, partition=2)
    found: set[tuple[int, int]] = set()
    while len(found) < 2:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            found.update((record.partition, record.offset) for record in records)
    assert found == {(0, 3), (2, 0)}


async def test_a_cluster_has_an_id_and_partitions_have_bounds(topic: Topic) -> None:
    await topic.append(10)
    await topic.delete_before(topic.tp(), 4)
    async with started(new_admin(topic.connection)) as admin:
        cluster_id = (await admin.describe_cluster())["cluster_id"]
    async with Cluster(topic.connection) as cluster:
        assert cluster.id == cluster_id
        assert await cluster.bounds([topic.tp(0), topic.tp(1)]) == {topic.tp(0): (4, 10), topic.tp(1): (0, 0)}


@pytest.mark.parametrize("otherwise", [RestoreTask, CheckConnection])
async def test_a_cluster_that_cannot_be_reached_says_so(otherwise: Any) -> None:
    cluster = Cluster({"bootstrap_servers": "127.0.0.1:1"}, otherwise=otherwise)
    with pytest.raises(otherwise, match=r"no broker responds at 127\.0\.0\.1:1"):
        await cluster.start()
    with pytest.raises(otherwise, match="was not started"):
        _ = cluster.id
    with pytest.raises(otherwise, match="was not started"):
        await cluster.bounds([TopicPartition("any", 0)])
