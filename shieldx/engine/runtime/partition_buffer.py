"""The records that a worker has fetched for one partition, and whether it should fetch more."""

from __future__ import annotations

import asyncio
from collections import deque
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.tasks.log import Record

PLENTY_TIMES = 3
"""Fetching pauses while more than so many batches wait."""


NOT_ASSIGNED = (IllegalStateError, AssertionError)
"""What aiokafka raises of a partition that is not assigned, and while it has no assignment at all."""


_timestamp = attrgetter("timestamp")


class PartitionBuffer:
    """A queue between the one fetch loop of a worker and a task.

    Without it aiokafka would fetch nothing for any partition of a broker until every task has taken what it has. Of
    several inputs the record with the earliest time comes first, among those that wait: stream time must not run ahead
    with one of them while another's backlog is read.

    aiokafka replaces an assignment shortly before it says so: then the partition may be unknown to it here. The call
    that says so follows, pauses everything, and has each runner seek again.
    """

    def __init__(self, consumer: AIOKafkaConsumer, inputs: Iterable[TopicPartition], *, batch: int) -> None:
        self._consumer = consumer
        self.inputs = [KafkaTopicPartition(*tp) for tp in inputs]
        self._batch = batch
        self._waiting: dict[str, deque[Record]] = {tp.topic: deque() for tp in self.inputs}
        self._count = 0
        self._offered: list[Record] = []
        """What `first` has given, in its order; more may come before some of it is removed."""
        self.taken: dict[KafkaTopicPartition, int] = {}
        """The offsets behind what the task has committed, by input."""
        self._changed = asyncio.Event()
        self._paused = True

    def put(self, records: Sequence[Record]) -> None:
        """Queue what was fetched, and pause the fetching when that is plenty."""
        for record in records:
            self._waiting[record.topic].append(record)
        self._count += len(records)
        self._changed.set()
        if not self._paused and self._count > PLENTY_TIMES * self._batch:
            self.pause()

    def restart(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Drop what waits and fetch from `positions`; False if the partition is not assigned any more."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._count = 0
        try:
            for tp in self.inputs:
                self._consumer.seek(tp, positions[TopicPartition(*tp)])
            self._consumer.resume(*self.inputs)
        except NOT_ASSIGNED:
            return False
        self._paused = False
        self.taken = {KafkaTopicPartition(*tp): offset for tp, offset in positions.items()}
        return True

    def first(self) -> list[Record]:
        """A batch of the first records, which stay in the queue."""
        queues = [waiting for waiting in self._waiting.values() if waiting]
        in_order = queues[0] if len(queues) == 1 else merge(*queues, key=_timestamp)
        self._offered = list(islice(in_order, self._batch))
        return self._offered

    def remove(self, count: int) -> None:
        """Take the first records of those that were given away, and fetch again when few are left."""
        self._count -= count
        for offered in self._offered[:count]:
            record = self._waiting[offered.topic].popleft()
            self.taken[KafkaTopicPartition(record.topic, record.partition)] = record.offset + 1
        if self._paused and self._count < self._batch:
            self._resume()

    def wake(self) -> None:
        """Let `wait` return, though nothing has come."""
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Return once something has come, on `wake`, or after the time."""
        if not self._count:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return
        self._changed.clear()

    async def passed(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where the fetching has come to with nothing left to give: behind markers, which are no records.

        Empty while records wait. What was awaited meanwhile may have changed everything: ask whether it did.
        """
        if self._count:
            return {}
        try:
            reached = {TopicPartition(*tp): await self._consumer.position(tp) for tp in self.inputs}
        except (*NOT_ASSIGNED, KafkaError):
            return {}
        if self._count or self._paused:
            return {}
        return {tp: offset for tp, offset in reached.items() if offset > positions[tp]}

    async def lag(self) -> int:
        """Records that wait here, and those that the broker has beyond them, as far as it has said.

        Counted from the position of the fetching, which has passed the markers of transactions: they are no records.
        """
        waiting = self._count
        try:
            for tp in self.inputs:
                end = self._consumer.highwater(tp)
                if end is not None:
                    waiting += max(0, end - await self._consumer.position(tp))
        except (*NOT_ASSIGNED, KafkaError):
            return waiting  # not assigned any more, or the group is in trouble, which fetching will tell
        return waiting

    def pause(self) -> None:
        """Fetch no more until `restart`, or until few are left."""
        try:
            self._consumer.pause(*self.inputs)
        except NOT_ASSIGNED:
            return
        self._paused = True

    def _resume(self) -> None:
        try:
            self._consumer.resume(*self.inputs)
        except NOT_ASSIGNED:
            return
        self._paused = False
