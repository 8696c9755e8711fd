"""What a task may rely on, shown for the log in memory and for Kafka alike."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.engine.testing.memory_log import MemoryLog
from shieldx.errors import LeaveTask, RestoreTask
from tests.engine.next_offsets import next_offsets, positions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shieldx.engine.tasks.log import Log, TransactionalProducer

PARTITIONS = 3
Writes = dict[TopicPartition, list[Write]]


class World(Protocol):
    """A log, and what others do to it."""

    @property
    def log(self) -> Log: ...

    def tp(self, topic: str, partition: int = 0) -> TopicPartition:
        """A partition of a topic that no other test knows; topics are `a` and `b`."""

    async def fence(self, name: str = "task") -> TransactionalProducer:
        """Fence a transactional id that no other test knows."""

    async def settle(self) -> None:
        """Have what was committed so far be visible, by fencing every id.

        Kafka answers a commit before it has marked its end in each partition; the next producer of the id waits for
        that, which is why a task fences before it reads.
        """

    async def append(self, tp: TopicPartition, *values: bytes) -> None:
        """Write outside of any transaction."""

    async def abort(self, writes: Writes) -> None:
        """Write in a transaction of the id `task` and abort it."""

    async def leave_open(self, writes: Writes) -> None:
        """Write in a transaction of the id `task` and crash."""

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        """Delete records as retention does."""


class MemoryWorld:
    def __init__(self) -> None:
        self.log = MemoryLog(["a", "b"], PARTITIONS, now_ms=lambda: 0)
        self._crashed: list[asyncio.Task[dict[TopicPartition, int]]] = []
        self._names: set[str] = set()

    def tp(self, topic: str, partition: int = 0) -> TopicPartition:
        return TopicPartition(topic, partition)

    async def fence(self, name: str = "task") -> TransactionalProducer:
        self._names.add(name)
        return await self.log.fence(name)

    async def settle(self) -> None:
        for name in self._names:
            await self.log.fence(name)

    async def append(self, tp: TopicPartition, *values: bytes) -> None:
        for value in values:
            self.log.append(tp, value)

    async def abort(self, writes: Writes) -> None:
        self.log.faults.fail_delivery("b")
        with pytest.raises(RestoreTask):
            await (await self.fence()).commit({**writes, self.tp("b", 2): _writes(b"refused")}, {})

    async def leave_open(self, writes: Writes) -> None:
        hang = self.log.faults.hang()
        transactions = await self.fence()
        self._crashed.append(asyncio.create_task(transactions.commit(writes, {})))
        await hang.reached.wait()

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        self.log.delete_before(tp, offset)

    async def stop(self) -> None:
        for crashed in self._crashed:
            crashed.cancel()
        await asyncio.gather(*self._crashed, return_exceptions=True)


class KafkaWorld:
    def __init__(self, bootstrap: str) -> None:
        self._connection: dict[str, Any] = {"bootstrap_servers": bootstrap}
        self._name = f"conformance-{uuid4().hex[:8]}"
        self.log = KafkaLog(self._connection, self.tp("positions").topic)
        self._producers: list[AIOKafkaProducer] = []
        self._fenced: list[TransactionalProducer] = []
        self._names: set[str] = set()

    def tp(self, topic: str, partition: int = 0) -> TopicPartition:
        return TopicPartition(f"{self._name}-{topic}", partition)

    async def fence(self, name: str = "task") -> TransactionalProducer:
        self._names.add(name)
        self._fenced.append(await self.log.fence(f"{self._name}.{name}"))
        return self._fenced[-1]

    async def settle(self) -> None:
        for name in self._names:
            await self.fence(name)

    async def start(self) -> None:
        async with self._admin() as admin:
            topics = [NewTopic(self.tp(topic).topic, PARTITIONS, 1) for topic in ("a", "b", "positions")]
            response = await admin.create_topics(topics)
        assert [code for _, code, _ in response.topic_errors] == [0, 0, 0]
        await self.log.start()

    async def append(self, tp: TopicPartition, *values: bytes) -> None:
        async with AIOKafkaProducer(**self._connection) as producer:
            for value in values:
                await producer.send_and_wait(tp.topic, value, partition=tp.partition)

    async def abort(self, writes: Writes) -> None:
        await (await self._begin(writes)).abort_transaction()

    async def leave_open(self, writes: Writes) -> None:
        await self._begin(writes)

    async def delete_before(self, tp: TopicPartition, offset: int) -> None:
        async with self._admin() as admin:
            await admin.delete_records({KafkaTopicPartition(*tp): RecordsToDelete(offset)})

    async def stop(self) -> None:
        for producer in self._producers:
            await producer.stop()  # leaves a transaction open
        for transactions in self._fenced:
            await transactions.close()
        await self.log.stop()

    async def _begin(self, writes: Writes) -> AIOKafkaProducer:
        self._names.add("task")
        producer = AIOKafkaProducer(**self._connection, transactional_id=f"{self._name}.task")
        self._producers.append(producer)
        await producer.start()
        await producer.begin_transaction()
        for tp, records in writes.items():
            for write in records:
                await producer.send_and_wait(tp.topic, write.value, partition=tp.partition)
        return producer

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._connection)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def bootstrap(request: pytest.FixtureRequest) -> str | None:
    """The broker's address; None for the log in memory. Only a test that needs the broker starts it."""
    return None if request.param == "memory" else request.getfixturevalue("kafka")


@pytest.fixture
async def world(bootstrap: str | None) -> AsyncIterator[World]:
    if bootstrap is None:
        memory = MemoryWorld()
        yield memory
        await memory.stop()
    else:
        kafka = KafkaWorld(bootstrap)
        await kafka.start()
        yield kafka
        await kafka.stop()


def _writes(*values: bytes) -> list[Write]:
    return [Write(b"key", value, []) for value in values]


async def _values(log: Log, *partitions: TopicPartition) -> list[bytes | None]:
    return [record.value async for records in log.read_to_end(partitions) for record in records]


async def test_what_is_committed_is_visible_and_keeps_its_parts(world: World) -> None:
    tp = world.tp("a")
    transactions = await world.fence()
    assert await _values(world.log, tp) == []

    written = [
        Write(b"key", b"value", [("name", b"content"), ("name", b"again"), ("empty", b"")]),
        Write(None, b"without a key", []),
        Write(b"deleted", None, []),
    ]
    await transactions.commit({tp: written}, {})
    await world.settle()

    (found,) = [records async for records in world.log.read_to_end([tp])]
    parts = [(r.topic, r.partition, r.key, r.value, list(r.headers)) for r in found]
    assert parts == [(*tp, w.key, w.value, list(w.headers)) for w in written]


async def test_an_open_transaction_is_not_visible_nor_what_stands_behind_it(world: World) -> None:
    tp = world.tp("a")
    await world.append(tp, b"before")
    await world.leave_open({tp: _writes(b"open")})
    await world.append(tp, b"behind")
    async with asyncio.timeout(5):
        assert await _values(world.log, tp) == [b"before"]


async def test_fencing_aborts_what_a_crashed_predecessor_left_open_at_once(world: World) -> None:
    tp = world.tp("a")
    await world.leave_open({tp: _writes(b"open"), world.tp("b", 1): _writes(b"open")})
    await world.append(tp, b"behind")
    async with asyncio.timeout(5):
        successor = await world.fence()
        await successor.commit({tp: _writes(b"after")}, {})
        await world.settle()
        assert await _values(world.log, tp, world.tp("b", 1)) == [b"behind", b"after"]


async def test_a_fenced_producer_commits_nothing(world: World) -> None:
    tp, read = world.tp("a"), world.tp("b")
    zombie = await world.fence()
    await zombie.commit({tp: _writes(b"in time")}, positions({read: 1}))
    successor = await world.fence()

    with pytest.raises(LeaveTask):
        await zombie.commit({tp: _writes(b"late"), world.tp("a", 1): _writes(b"late")}, positions({read: 2}))
    with pytest.raises(RestoreTask):
        await zombie.commit({tp: _writes(b"later still")}, positions({read: 3}))

    await successor.commit({tp: _writes(b"mine")}, {})
    await world.settle()
    assert await _values(world.log, tp, world.tp("a", 1)) == [b"in time", b"mine"]
    assert await next_offsets(world.log, [read]) == {read: 1}


async def test_a_fenced_producer_cannot_commit_positions_alone(world: World) -> None:
    read = world.tp("b")
    zombie = await world.fence()
    await world.fence()
    with pytest.raises(LeaveTask):
        await zombie.commit({}, positions({read: 2}))
    assert await next_offsets(world.log, [read]) == {read: 0}


async def test_producers_of_different_ids_leave_each_other_alone(world: World) -> None:
    first = await world.fence("first")
    second = await world.fence("second")
    await first.commit({world.tp("a", 1): _writes(b"first")}, positions({world.tp("b", 1): 1}))
    await second.commit({world.tp("a", 2): _writes(b"second")}, positions({world.tp("b", 2): 2}))
    await world.settle()
    assert await _values(world.log, world.tp("a", 1)) == [b"first"]
    assert await _values(world.log, world.tp("a", 2)) == [b"second"]


async def test_a_commit_says_where_what_it_wrote_ends(world: World) -> None:
    tp, other = world.tp("a"), world.tp("a", 1)
    await world.append(other, b"0", b"1", b"2")
    transactions = await world.fence()
    first = await transactions.commit({tp: _writes(b"one", b"two"), other: _writes(b"three")}, {})
    second = await transactions.commit({tp: _writes(b"four")}, positions({world.tp("b"): 1}))
    await world.settle()
    assert first == {tp: 2, other: 4}
    assert second[tp] == 4, "the end of the first transaction took an offset"


async def test_from_where_a_commit_ended_only_what_came_later_is_read(world: World) -> None:
    tp, other = world.tp("a"), world.tp("a", 1)
    transactions = await world.fence()
    ends = await transactions.commit({tp: _writes(b"one", b"two"), other: _writes(b"three")}, {})
    await transactions.commit({tp: _writes(b"four")}, {})
    await world.settle()
    found = [r.value async for records in world.log.read_to_end([tp, other], {tp: ends[tp]}) for r in records]
    assert sorted(found, key=str) == [b"four", b"three"], "one without a position is read from its beginning"
    assert [r async for r in world.log.read_to_end([other], ends)] == []


async def test_bounds_are_the_first_offset_and_the_one_behind_what_is_committed(world: World) -> None:
    tp, empty = world.tp("a"), world.tp("a", 1)
    transactions = await world.fence()
    await transactions.commit({tp: _writes(b"one", b"two")}, {})
    await world.settle()
    await world.delete_before(tp, 1)
    assert await world.log.bounds([tp, empty]) == {tp: (1, 3), empty: (0, 0)}
    await world.leave_open({tp: _writes(b"open")})
    assert (await world.log.bounds([tp]))[tp] == (1, 3)


async def test_a_log_has_an_identity(world: World) -> None:
    assert await world.log.cluster() == await world.log.cluster() != ""


async def test_positions_alone_writes_alone_and_both(world: World) -> None:
    tp, read = world.tp("a"), world.tp("b")
    await (await world.fence()).commit({}, positions({read: 1}))
    transactions = await world.fence()
    assert await next_offsets(world.log, [read]) == {read: 1}
    await transactions.commit({tp: _writes(b"one")}, {})
    transactions = await world.fence()
    assert await next_offsets(world.log, [read]) == {read: 1}
    await transactions.commit({tp: _writes(b"two")}, positions({read: 2, world.tp("b", 1): 7}))
    await world.settle()
    assert await next_offsets(world.log, [read, world.tp("b", 1)]) == {read: 2, world.tp("b", 1): 7}
    assert await _values(world.log, tp) == [b"one", b"two"]


async def test_without_a_committed_position_the_first_offset_that_exists(world: World) -> None:
    kept, shortened = world.tp("a"), world.tp("a", 1)
    await world.append(shortened, b"0", b"1", b"2")
    await world.delete_before(shortened, 2)
    assert await next_offsets(world.log, [kept, shortened]) == {kept: 0, shortened: 2}
    assert await _values(world.log, shortened) == [b"2"]


async def test_reading_skips_what_was_aborted_and_ends_behind_it(world: World) -> None:
    tp, only_aborted = world.tp("a"), world.tp("a", 1)
    await world.append(tp, b"one")
    await world.abort({tp: _writes(b"aborted")})
    await world.append(tp, b"two")
    await world.abort({tp: _writes(b"aborted", b"too"), only_aborted: _writes(b"aborted")})
    await world.settle()
    async with asyncio.timeout(5):
        assert await _values(world.log, tp, only_aborted) == [b"one", b"two"]


async def test_reading_ends_although_the_last_offset_is_a_marker(world: World) -> None:
    tp = world.tp("a")
    transactions = await world.fence()
    await transactions.commit({tp: _writes(b"one")}, {})
    await world.settle()
    async with asyncio.timeout(5):
        assert await _values(world.log, tp) == [b"one"]


async def test_offsets_have_gaps_where_transactions_end(world: World) -> None:
    tp = world.tp("a")
    transactions = await world.fence()
    await transactions.commit({tp: _writes(b"one")}, {})
    await transactions.commit({tp: _writes(b"two", b"three")}, {})
    await world.settle()
    offsets = [record.offset async for records in world.log.read_to_end([tp]) for record in records]
    assert offsets == [0, 2, 3]


async def test_reading_several_partitions_some_of_them_empty(world: World) -> None:
    partitions = [world.tp(topic, number) for topic in ("a", "b") for number in range(PARTITIONS)]
    transactions = await world.fence()
    await transactions.commit({world.tp("a", 1): _writes(b"a1", b"a2"), world.tp("b", 2): _writes(b"b1")}, {})
    await world.settle()
    found: dict[TopicPartition, list[bytes | None]] = {}
    async for records in world.log.read_to_end(partitions):
        for record in records:
            found.setdefault(TopicPartition(record.topic, record.partition), []).append(record.value)
    assert found == {world.tp("a", 1): [b"a1", b"a2"], world.tp("b", 2): [b"b1"]}


async def test_reading_nothing_ends(world: World) -> None:
    assert await _values(world.log) == []


async def test_a_transaction_much_larger_than_a_batch_keeps_the_order(world: World) -> None:
    tp = world.tp("a")
    values = [b"%06d" % number + bytes(9_000) for number in range(350)]
    transactions = await world.fence()
    await transactions.commit(
        {tp: _writes(*values), world.tp("b"): _writes(*values)}, positions({world.tp("b", 1): 350})
    )
    await world.settle()
    assert await _values(world.log, tp) == values
    assert await _values(world.log, world.tp("b")) == values


async def test_a_record_close_to_the_limit_is_taken(world: World) -> None:
    tp = world.tp("a")
    transactions = await world.fence()
    await transactions.commit({tp: _writes(b"small", bytes(1_000_000), b"small", bytes(1_000_000))}, {})
    await world.settle()
    assert [len(value or b"") for value in await _values(world.log, tp)] == [5, 1_000_000, 5, 1_000_000]


async def test_a_record_too_large_for_the_broker_takes_everything_with_it(world: World) -> None:
    tp, read = world.tp("a"), world.tp("b")
    transactions = await world.fence()
    await transactions.commit({tp: _writes(b"one")}, positions({read: 1}))
    with pytest.raises(RestoreTask):
        await transactions.commit(
            {tp: _writes(b"two"), world.tp("a", 1): _writes(bytes(1_500_000)), world.tp("a", 2): _writes(b"two")},
            positions({read: 2}),
        )
    with pytest.raises(RestoreTask):
        await transactions.commit({tp: _writes(b"three")}, positions({read: 3}))
    await transactions.close()

    successor = await world.fence()
    await successor.commit({tp: _writes(b"four")}, {})
    await world.settle()
    assert await _values(world.log, *[world.tp("a", number) for number in range(PARTITIONS)]) == [b"one", b"four"]
    assert await next_offsets(world.log, [read]) == {read: 1}


async def test_many_commits_in_a_row(world: World) -> None:
    tp, read = world.tp("a"), world.tp("b")
    transactions = await world.fence()
    for number in range(100):
        await transactions.commit({tp: _writes(b"%d" % number)}, positions({read: number + 1}))
    await world.settle()
    assert await _values(world.log, tp) == [b"%d" % number for number in range(100)]
    assert await next_offsets(world.log, [read]) == {read: 100}


async def test_closing_never_raises_nor_waits(world: World) -> None:
    fenced = await world.fence()
    used = await world.fence()
    await used.commit({world.tp("a"): _writes(b"one")}, {})
    async with asyncio.timeout(5):
        await fenced.close()
        await used.close()
        await used.close()
    with pytest.raises(RestoreTask):
        await used.commit({world.tp("a"): _writes(b"after closing")}, {})
    await world.settle()
    assert await _values(world.log, world.tp("a")) == [b"one"]
