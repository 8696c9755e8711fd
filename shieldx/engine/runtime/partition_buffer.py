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

from shieldx.engine.operations.open_transactions import Ends
from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.tasks.log import Record

PLENTY_TIMES = 3
"""Fetching pauses while more than this many batches wait."""
PLENTY_BYTES = 16 * 1_048_576
"""Fetching pauses while records of more than this size wait."""


NOT_ASSIGNED = (IllegalStateError, AssertionError)
"""aiokafka's errors for a partition that is not assigned, and while there is no assignment at all."""


_timestamp = attrgetter("timestamp")


class PartitionBuffer:
    """A queue between the one fetch loop of a worker and a task.

    Without it, aiokafka would not fetch from a broker until every task has taken its records. If there are several
    inputs, the waiting record with the earliest time comes first, so that one input does not advance stream time while
    another one has a backlog.

    aiokafka replaces an assignment shortly before it calls the listener, so the partition may be unknown to it here.
    The listener then pauses everything, and each runner seeks again.
    """

    def __init__(self, consumer: AIOKafkaConsumer, inputs: Iterable[TopicPartition], *, batch: int) -> None:
        self._consumer = consumer
        self.inputs = [KafkaTopicPartition(*tp) for tp in inputs]
        self._batch = batch
        self._waiting: dict[str, deque[Record]] = {tp.topic: deque() for tp in self.inputs}
        self._count = 0
        self._fetches: deque[list[int]] = deque()
        """Of each fetch of which records wait: how many, and their size in bytes."""
        self._offered: list[Record] = []
        """The records that `first` returned. More may arrive before some of them are removed."""
        self.taken: dict[KafkaTopicPartition, int] = {}
        """The offset after the last committed record of each input."""
        self._changed = asyncio.Event()
        self._paused = True

    def put(self, records: Sequence[Record], size_bytes: int = 0) -> None:
        """Queue fetched records of one input, and pause fetching if there are many, or large ones."""
        if not records:
            return
        self._waiting[records[0].topic].extend(records)
        self._count += len(records)
        self._fetches.append([len(records), size_bytes])
        self._changed.set()
        if not self._paused and (self._count > PLENTY_TIMES * self._batch or self._size_bytes > PLENTY_BYTES):
            self.pause()

    def restart(self, positions: Mapping[TopicPartition, int]) -> bool:
        """Drop waiting records and fetch from `positions`. Returns False if the partition is no longer assigned."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._count = 0
        self._fetches.clear()
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
        """The first records, at most a batch. They stay in the queue."""
        queues = [waiting for waiting in self._waiting.values() if waiting]
        in_order = queues[0] if len(queues) == 1 else merge(*queues, key=_timestamp)
        self._offered = list(islice(in_order, self._batch))
        return self._offered

    def remove(self, count: int) -> None:
        """Remove the first of the records that `first` returned, and fetch again when few are left."""
        self._count -= count
        self._forget_fetches(count)
        for offered in self._offered[:count]:
            record = self._waiting[offered.topic].popleft()
            self.taken[KafkaTopicPartition(record.topic, record.partition)] = record.offset + 1
        if self._paused and self._count < self._batch and self._size_bytes <= PLENTY_BYTES:
            self._resume()

    @property
    def _size_bytes(self) -> int:
        """The size of the fetches of which records wait."""
        return sum(size_bytes for _, size_bytes in self._fetches)

    def _forget_fetches(self, count: int) -> None:
        """Forget the fetches of `count` records. Those of several inputs may leave in another order, which is close."""
        while count:
            fetch = self._fetches[0]
            taken = min(count, fetch[0])
            fetch[0] -= taken
            count -= taken
            if not fetch[0]:
                self._fetches.popleft()

    def wake(self) -> None:
        """Let `wait` return although nothing arrived."""
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when records arrive, on `wake`, or after the timeout."""
        if not self._count:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return
        self._changed.clear()

    async def passed(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The fetch positions that have moved past markers only, if no record waits.

        Empty while records wait. The assignment may have changed during the await; the caller must check.
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
        """The number of records that wait here, plus those on the broker, as far as known.

        Counted from the fetch position, which is past the markers of finished transactions.
        """
        waiting = self._count
        try:
            for tp in self.inputs:
                end = self._consumer.highwater(tp)
                if end is not None:
                    waiting += max(0, end - await self._consumer.position(tp))
        except (*NOT_ASSIGNED, KafkaError):
            return waiting  # no longer assigned, or a group error that fetching will raise
        return waiting

    def ends(self) -> dict[tuple[str, int], Ends]:
        """The ends of each input as of the last fetch, where they are known."""
        try:
            found = {tp: (self._consumer.last_stable_offset(tp), self._consumer.highwater(tp)) for tp in self.inputs}
        except NOT_ASSIGNED:
            return {}
        return {
            (tp.topic, tp.partition): Ends(stable, high)
            for tp, (stable, high) in found.items()
            if stable is not None and high is not None
        }

    def pause(self) -> None:
        """Pause fetching until `restart`, or until few records are left."""
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
