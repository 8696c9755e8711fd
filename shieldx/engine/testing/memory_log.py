"""A log in memory: the port that tasks use, without a broker, and with injectable faults.

It reproduces the difficult properties of Kafka's log: the end of a transaction takes an offset in every partition that
it wrote, so offsets have gaps; an open transaction hides all later records; aborted records stay but are never read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum, auto
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.engine.tasks.log import Header, TopicPartition, UndecodedRecord, Write
from shieldx.engine.tasks.position import decode_position, encode_position
from shieldx.errors import FixConfiguration, LeaveTask, RestoreTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from shieldx.engine.tasks.position import Position

READ_AT_A_TIME = 500
BROKER_LIMIT_BYTES = 1_048_588
"""Kafka's default of `max.message.bytes`."""


class MemoryRecord(NamedTuple):
    """A record as it was read; `timestamp` in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


class Hang:
    """A commit that has written its records and waits with an open transaction."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        """Set once the commit waits."""
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the commit continue."""
        self._released.set()

    async def wait(self) -> None:
        """Called by the commit: wait for the release."""
        self.reached.set()
        await self._released.wait()


class MemoryLog:
    """Topics with the same number of partitions, and one group's positions, in this process.

    `now_ms` is the broker's clock, which stamps every record.
    """

    def __init__(
        self,
        topics: Iterable[str],
        partitions: int,
        *,
        now_ms: Callable[[], int],
        max_record_bytes: int = BROKER_LIMIT_BYTES,
    ) -> None:
        self._partitions = {
            TopicPartition(topic, partition): _Partition() for topic in topics for partition in range(partitions)
        }
        self._created: Counter[str] = Counter()
        self._now_ms = now_ms
        self._positions: dict[TopicPartition, bytes] = {}
        self._producers: dict[str, _Producer] = {}
        self.max_record_bytes = max_record_bytes
        self.faults = _Faults()

    async def fence(self, transactional_id: str) -> _Producer:
        """Fence every earlier producer with this id and abort its open transaction."""
        former = self._producers.get(transactional_id)
        if former is not None:
            former.shut_out()
        producer = self._producers[transactional_id] = _Producer(self, transactional_id)
        return producer

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        """The last committed position of each input that has one."""
        found = {tp: self._positions[tp] for tp in partitions if tp in self._positions}
        return {tp: decode_position(f"positions/{tp.partition}", value) for tp, value in found.items()}

    async def cluster(self) -> str:
        """The identity of this log."""
        return f"memory-{id(self):x}"

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset of each partition, and the one after its last committed record."""
        return {tp: (self._partition(tp).first, self._partition(tp).stable_end) for tp in partitions}

    async def read_to_end(
        self, partitions: Iterable[TopicPartition], positions: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[Sequence[MemoryRecord]]:
        """Every committed record of the partitions up to their current ends."""
        ends = {tp: self._partition(tp).stable_end for tp in partitions}
        for tp, end in ends.items():
            records = [record for record in self.read(tp, (positions or {}).get(tp, 0)) if record.offset < end]
            for start in range(0, len(records), READ_AT_A_TIME):
                yield records[start : start + READ_AT_A_TIME]

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The id of each topic."""
        return {topic: f"{topic}-{self._created[topic]}" for topic in topics}

    def recreate(self, topic: str) -> None:
        """Delete a topic and create it again."""
        self._created[topic] += 1
        for tp in self._partitions:
            if tp.topic == topic:
                self._partitions[tp] = _Partition()

    def read(self, tp: TopicPartition, offset: int = 0) -> list[MemoryRecord]:
        """Every committed record from an offset on, up to the first open transaction."""
        return list(self._partition(tp).read(offset))

    def append(
        self,
        tp: TopicPartition,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[Header] = (),
        at_ms: int | None = None,
    ) -> MemoryRecord:
        """Append one record outside of any transaction; `at_ms` overrides the clock in any topic."""
        return self._append(tp, Write(key, value, list(headers)), None, at_ms)

    def append_undecoded(self, tp: TopicPartition, content: bytes, reason: str) -> UndecodedRecord:
        """Append a record that a reader finds to be undecoded, of these bytes and for this reason."""
        partition = self._partition(tp)
        record = UndecodedRecord(
            topic=tp.topic,
            partition=tp.partition,
            offset=partition.end_offset,
            timestamp=self._now_ms(),
            reason=reason,
            length=len(content),
            sha256=sha256(content).hexdigest(),
        )
        partition.append(record, None)
        return record

    def add_partitions(self, partitions: int) -> None:
        """Give every topic more partitions, as an alteration does; nothing happens to those that it has."""
        for topic in {tp.topic for tp in self._partitions}:
            for partition in range(partitions):
                self._partitions.setdefault(TopicPartition(topic, partition), _Partition())

    def delete_before(self, tp: TopicPartition, offset: int) -> None:
        """Delete the records before an offset, as retention does."""
        self._partition(tp).delete_before(offset)

    def write(self, transaction: _Transaction, tp: TopicPartition, writes: Iterable[Write]) -> None:
        """Append a producer's records; they stay hidden until their transaction ends."""
        for write in writes:
            self._append(tp, write, transaction, None)

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition will have."""
        return {tp: self._partition(tp).end_offset for tp in partitions}

    def end(self, transaction: _Transaction, state: _State, positions: Mapping[TopicPartition, Position]) -> None:
        """Mark a transaction's end in every partition that it wrote, and commit its positions with it."""
        transaction.state = state
        for partition in self._partitions.values():
            partition.end(transaction)
        if state is _State.COMMITTED:
            self._positions |= {tp: encode_position(position) for tp, position in positions.items()}

    def _append(
        self, tp: TopicPartition, write: Write, transaction: _Transaction | None, at_ms: int | None
    ) -> MemoryRecord:
        partition = self._partition(tp)
        timestamp = self._now_ms() if at_ms is None else at_ms
        record = MemoryRecord(*tp, partition.end_offset, timestamp, write.key, write.value, tuple(write.headers))
        partition.append(record, transaction)
        return record

    def _partition(self, tp: TopicPartition) -> _Partition:
        try:
            return self._partitions[tp]
        except KeyError:
            raise FixConfiguration(f"the log has no {tp.topic}/{tp.partition}; declare it in a manifest") from None


class _State(Enum):
    OPEN = auto()
    COMMITTED = auto()
    ABORTED = auto()


class _Transaction:
    """The state of one transaction."""

    def __init__(self) -> None:
        self.state = _State.OPEN


class _Slot(NamedTuple):
    """One offset: a record, or nothing where a transaction's end is marked."""

    record: MemoryRecord | UndecodedRecord | None
    transaction: _Transaction | None


class _Partition:
    """Slots by offset. Slots never move."""

    def __init__(self) -> None:
        self.first = 0
        self._slots: list[_Slot] = []
        self._open: dict[_Transaction, int] = {}

    @property
    def end_offset(self) -> int:
        return len(self._slots)

    @property
    def stable_end(self) -> int:
        """The offset up to which committed records can be read."""
        return min(self._open.values(), default=self.end_offset)

    def append(self, record: MemoryRecord | UndecodedRecord, transaction: _Transaction | None) -> None:
        if transaction is not None:
            self._open.setdefault(transaction, self.end_offset)
        self._slots.append(_Slot(record, transaction))

    def end(self, transaction: _Transaction) -> None:
        if self._open.pop(transaction, None) is not None:
            self._slots.append(_Slot(None, transaction))

    def read(self, offset: int) -> Iterator[Any]:
        for record, transaction in self._slots[max(offset, self.first) : self.stable_end]:
            if record is not None and (transaction is None or transaction.state is _State.COMMITTED):
                yield record

    def delete_before(self, offset: int) -> None:
        self.first = max(self.first, min(offset, self.stable_end))


class _Faults:
    """Faults of the next commits. Each fault happens once."""

    def __init__(self) -> None:
        self._undeliverable: set[str] = set()
        self._unknown = False
        self._hang: Hang | None = None

    def fail_delivery(self, topic: str) -> None:
        """Reject the next delivery to a topic: RestoreTask, and nothing of its transaction ever becomes visible."""
        self._undeliverable.add(topic)

    def fail_after_commit(self) -> None:
        """Lose the response to the next commit: RestoreTask, although the commit happened."""
        self._unknown = True

    def hang(self) -> Hang:
        """Stop the next commit before its transaction ends, until it is released or fenced."""
        self._hang = Hang()
        return self._hang

    def refuses(self, topics: Iterable[str]) -> bool:
        refused = self._undeliverable.intersection(topics)
        self._undeliverable -= refused
        return bool(refused)

    def loses_answer(self) -> bool:
        unknown, self._unknown = self._unknown, False
        return unknown

    async def pause(self) -> None:
        hang, self._hang = self._hang, None
        if hang is not None:
            await hang.wait()


class _Producer:
    """`Transactions` on a MemoryLog."""

    def __init__(self, log: MemoryLog, transactional_id: str) -> None:
        self._log = log
        self._id = transactional_id
        self._open: _Transaction | None = None
        self._fenced = False
        self._failed = False

    async def commit(
        self, writes: Mapping[TopicPartition, Sequence[Write]], positions: Mapping[TopicPartition, Position]
    ) -> dict[TopicPartition, int]:
        """Write all records and the next offsets of the inputs in one transaction.

        Returns the offset after the last record of each written partition.

        Raises:
            LeaveTask: a later producer with this id exists.
            RestoreTask: a fault was injected, a record is too large, or this producer has failed before.
        """
        self._check()
        self._failed = True  # until it has succeeded: after any error this producer cannot be used again
        transaction = self._open = _Transaction()
        deliverable = self._deliver(transaction, writes)
        written = self._log.ends(writes)
        await self._log.faults.pause()
        if self._fenced:
            raise self._leave()
        self._open = None
        if not deliverable:
            self._log.end(transaction, _State.ABORTED, {})
            raise RestoreTask(f"a record of {self._id} was not delivered")
        self._log.end(transaction, _State.COMMITTED, positions)
        if self._log.faults.loses_answer():
            raise RestoreTask(f"it is unknown whether {self._id} committed")
        self._failed = False
        return written

    async def close(self) -> None:
        """Refuse further use. An open transaction stays open until the next `fence`."""
        self._failed = True

    def shut_out(self) -> None:
        """Fence this producer, because a later one with its id exists, and abort its open transaction."""
        self._fenced = True
        if self._open is not None:
            self._log.end(self._open, _State.ABORTED, {})

    def _check(self) -> None:
        if self._fenced:
            raise self._leave()
        if self._failed:
            raise RestoreTask(f"the producer of {self._id} has failed before, or is closed")

    def _leave(self) -> LeaveTask:
        return LeaveTask(f"a later producer with id {self._id} exists")

    def _deliver(self, transaction: _Transaction, writes: Mapping[TopicPartition, Sequence[Write]]) -> bool:
        """Append as many records as possible. A transaction that will be aborted leaves its records, as on Kafka."""
        deliverable = not self._log.faults.refuses({tp.topic for tp in writes})
        for tp, records in writes.items():
            fitting = [write for write in records if _size(write) <= self._log.max_record_bytes]
            deliverable &= len(fitting) == len(records)
            self._log.write(transaction, tp, fitting)
        return deliverable


def _size(write: Write) -> int:
    """The minimum size of a record in a batch. Each header has two lengths."""
    headers = sum(len(name) + len(content or b"") + 2 for name, content in write.headers)
    return len(write.key or b"") + len(write.value or b"") + headers
