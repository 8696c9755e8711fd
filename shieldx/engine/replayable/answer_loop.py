"""Answers the records of a replayable agent and retries each until it is answered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from shieldx.engine.tasks.codec import Undecodable, carried, is_tick
from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.dead_letter_reasons import EngineReason
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord
from shieldx.engine.tasks.pending_transaction import MAX_CONTEXT_BYTES, PendingTransaction, headers_bytes
from shieldx.errors import FixConfiguration, OutputTooLarge
from shieldx.messages import Origin, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.engine.declarations.replayable import Answering, Replayable
    from shieldx.engine.operations.metrics import Metrics, TaskMetrics
    from shieldx.engine.replayable.deliveries import Deliveries
    from shieldx.engine.replayable.offset_tracker import OffsetTracker, OffsetTrackers
    from shieldx.engine.tasks.codec import Codec
    from shieldx.engine.tasks.log import Header, Record

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0
MOST_PAUSING = 1000
"""Maximum records that wait for a retry. Beyond it, no new record is taken until one is answered."""


class AnswerLoop:
    """Takes records, answers a limited number at a time, and marks each one when it is done."""

    def __init__(
        self,
        agent: Replayable,
        answering: Answering,
        codec: Codec,
        deliveries: Deliveries,
        progress: OffsetTrackers,
        metrics: Metrics,
        *,
        concurrency: int,
        mask: Callable[[bytes], bytes],
    ) -> None:
        self._agent = agent
        self._answering = answering
        self._codec = codec
        self._deliveries = deliveries
        self._progress = progress
        self._metrics = metrics
        self._mask = mask
        self._free = asyncio.Semaphore(concurrency)
        self._working: set[asyncio.Task[None]] = set()
        self._pausing: set[asyncio.Task[None] | None] = set()
        self._places = asyncio.Semaphore(concurrency + MOST_PAUSING)
        self._failing: set[tuple[TopicPartition, int]] = set()
        self._measured: dict[int, TaskMetrics] = {}
        self._stopping = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Gets an exception once the worker cannot continue."""

    @property
    def failing(self) -> int:
        """How many records have failed and are waiting for a retry."""
        return len(self._failing)

    async def take(self, record: Record) -> None:
        """Begin to answer a record as soon as there is room for one more.

        Raises:
            KeyError: its partition is not assigned to this worker. Skipping it could lose it.
        """
        tp = TopicPartition(record.topic, record.partition)
        partition = self._progress.partitions[tp]
        if not partition.take(record.offset):
            return
        await self._places.acquire()
        await self._free.acquire()
        if self._stopping or partition.gone.is_set():
            self._free.release()
            self._places.release()
            return
        task = asyncio.create_task(self._work(record, tp, partition))
        self._working.add(task)
        task.add_done_callback(self._worked)

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing more and wait for the records in progress. Another worker answers the remaining ones."""
        self._stopping = True
        for task in self._pausing:
            if task is not None:
                task.cancel()
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for metrics in self._measured.values():
            metrics.leave()

    def measured(self, number: int) -> TaskMetrics:
        """The metrics of a partition number."""
        if number not in self._measured:
            self._measured[number] = self._metrics.task(self._agent.name, number)
        return self._measured[number]

    def leave_what_is_gone(self) -> None:
        """Remove the metrics of partitions that are no longer assigned to this worker."""
        mine = {tp.partition for tp in self._progress.partitions}
        for number in self._measured.keys() - mine:
            self._measured.pop(number).leave()

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.ended.done():
            self.ended.set_exception(error)

    async def _work(self, record: Record, tp: TopicPartition, partition: OffsetTracker) -> None:
        """Answer a record. It starts with a slot, which it releases while it pauses."""
        has_room, pause_s = True, FIRST_PAUSE_S
        try:
            while not await self._answered(record, tp):
                if self._stopping:
                    return
                self._free.release()
                has_room = False
                if await self._gone_within(partition, pause_s):
                    return
                await self._free.acquire()
                has_room = True
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            partition.done(record.offset)
        finally:
            self._fails_no_more(record, tp)
            self._places.release()
            if has_room:
                self._free.release()

    async def _gone_within(self, partition: OffsetTracker, pause_s: float) -> bool:
        """Pause before the next attempt. Returns True if the partition is revoked meanwhile."""
        task = asyncio.current_task()
        self._pausing.add(task)
        try:
            async with asyncio.timeout(pause_s):
                await partition.gone.wait()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._pausing.discard(task)

    async def _answered(self, record: Record, tp: TopicPartition) -> bool:
        """Try once to answer a record and to write its outputs.

        Raises:
            FixConfiguration: every attempt will fail until something is changed.
        """
        context = carried(record.headers)
        source = Source(tp.topic, tp.partition, record.offset, record.timestamp, record.value or b"", Origin(context))
        try:
            try:
                batch = await self._batch_of(record, source)
                await self._deliveries.write(batch.writes)
            except OutputTooLarge:
                batch = self._letter(record, source, "what it leads to exceeds the size of a record")
                await self._deliveries.write(batch.writes)
        except FixConfiguration:
            raise
        except Exception as error:  # noqa: BLE001 - any error leads to a retry, so that no record is lost
            self._fails(record, tp, error)
            return False
        self.measured(tp.partition).answered(batch)
        return True

    async def _batch_of(self, record: Record, source: Source) -> PendingTransaction:
        """The outputs of a record's answer, or a dead letter. Raises OutputTooLarge."""
        batch = self._begin(source.partition)
        if is_tick(record):
            return batch
        try:
            message = self._decoded(record, source.origin.context)
        except Undecodable as error:
            return self._letter(record, source, str(error))
        for output in await self._answering.answer(message, source):
            origin = source.origin if output.origin is None else output.origin
            batch.add_output(output, origin.context, source)
        return batch

    def _fails(self, record: Record, tp: TopicPartition, error: Exception) -> None:
        self.measured(tp.partition).restarts.inc()
        again = (tp, record.offset) in self._failing
        self._failing.add((tp, record.offset))
        self._show_failing(tp.partition)
        place = f"{tp.topic}/{tp.partition}/{record.offset}"
        extra = {"agent": self._agent.name, "place": place}
        logger.error("not answered, will be retried: %r", error, exc_info=None if again else error, extra=extra)

    def _fails_no_more(self, record: Record, tp: TopicPartition) -> None:
        if (tp, record.offset) in self._failing:
            self._failing.remove((tp, record.offset))
            self._show_failing(tp.partition)

    def _show_failing(self, number: int) -> None:
        self.measured(number).failing.set(sum(tp.partition == number for tp, _ in self._failing))

    def _decoded(self, record: Record, context: Sequence[Header]) -> Any:
        if isinstance(record, UndecodedRecord):
            raise Undecodable(record.reason)
        if context and headers_bytes(context) > MAX_CONTEXT_BYTES:
            raise Undecodable(f"correlation-id and traceparent together exceed {MAX_CONTEXT_BYTES} bytes")
        return self._codec.decode(record.topic, record.value, record.headers)

    def _letter(self, record: Record, source: Source, detail: str) -> PendingTransaction:
        """Write a dead letter about a record, and log it."""
        batch = self._begin(source.partition)
        reason = EngineReason.UNDECODABLE if isinstance(record, UndecodedRecord) else EngineReason.UNREADABLE
        batch.add_dead_letter(source, record, reason, detail)
        extra = {"agent": self._agent.name, "place": source.place}
        logger.info("set aside as a dead letter: %s: %s", reason, detail, extra=extra)
        return batch

    def _begin(self, number: int) -> PendingTransaction:
        batch = PendingTransaction(
            number,
            self._codec,
            self._agent.counters,
            self._agent.gauges,
            Limits.max_record_bytes,
            mask=self._mask,
        )
        batch.records = 1
        return batch
