"""A task: one partition of an agent, with its state, its producer and its positions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.engine.tasks.batch import MAX_CONTEXT_BYTES, OVERHEAD_BYTES, Batch, headers_bytes
from shieldx.engine.tasks.codec import CORRELATION_ID, HOP, REPLY_TO, TICK_VALUE, Undecodable, carried
from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.task_state import TaskState
from shieldx.errors import FixConfiguration, FreeMemory, OutputTooLarge, RestoreTask
from shieldx.messages import NO_ORIGIN, ForPartition, Origin, Source, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.context import TaskContext
    from shieldx.engine.tasks.log import Header, Record, Transactions
    from shieldx.messages import Output

logger = logging.getLogger(__name__)

MAX_LOGGED = 100
"""Characters of a correlation id in a log line."""
MAX_KEY_BYTES = 1024
"""What 256 characters, the longest id, take in UTF-8."""


class Task:
    """Folds records into outputs and state, and commits both with the position.

    A task is crash-only: after any error but `FreeMemory` it must be closed and a new one started. `refused` outlives
    it: the topic, partition and offset of inputs whose outputs were too large, so that the next task sets them aside.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        partition: int,
        surroundings: TaskContext,
        metrics: TaskMetrics,
        refused: set[tuple[str, int, int]],
    ) -> None:
        self._agent = agent
        self.partition = partition
        self._around = surroundings
        self._limits = surroundings.limits
        self._codec = surroundings.codec
        self._transactional_id = f"{surroundings.application}.{agent.name}.{partition}"
        self._metrics = metrics
        self._refused = refused
        max_record_bytes = self._limits.max_record_bytes - OVERHEAD_BYTES - MAX_KEY_BYTES
        self._state = TaskState(agent, partition, max_record_bytes, surroundings, metrics)
        self._fold = self._state.fold
        self._settled = False
        self._transactions: Transactions | None = None
        self._log_time_ms = 0
        self._expired_ms = -1
        self.inputs = tuple(TopicPartition(topic, partition) for topic in agent.reads)
        self.positions: dict[TopicPartition, int] = {}

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something waits to be done, or None."""
        return self._fold.due_ms

    @property
    def stream_time_ms(self) -> int:
        """The latest stream time seen, 0 before the first record."""
        return self._log_time_ms

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""
        return self._fold.size_bytes

    async def start(self) -> None:
        """Fence, then read the position, then the tables: in this order nothing of a predecessor can come later.

        Raises:
            RestoreTask: the log could not be read; try again.
            FixConfiguration: records were deleted unread, or there is state without a position.
        """
        self._transactions = await self._around.log.fence(self._transactional_id)
        self.positions = await self._around.log.committed(self.inputs)
        for tp, (_, end) in (await self._around.log.bounds(self.inputs)).items():
            if self.positions[tp] > end:
                raise RestoreTask(
                    f"{tp.topic}/{tp.partition} ends at {end}, before position {self.positions[tp]}: it was deleted "
                    f"and made again, or has lost records. If so, write {end} to {self._agent.positions}/"
                    f"{tp.partition} under the key {tp.topic}; what comes until then would be passed over"
                )
        restored = await self._state.restore()
        self._fold = self._state.fold
        if restored and not await self._around.log.has_position(self.inputs):
            raise FixConfiguration(
                f"partition {self.partition} of agent {self._agent.name} has state, but {self._agent.positions}/"
                f"{self.partition} does not say how far it has read: it was deleted. Starting at the first record "
                f"would answer everything again; write the next offset there, under the key {self._agent.reads[0]}"
            )
        self._settled = True

    async def process(self, records: Sequence[Record]) -> int:
        """Fold records, in the order given, and commit; returns how many were new.

        Raises:
            FreeMemory: state is at its limit; what was taken is committed. Offer the same records again later.
            RestoreTask: close this task and start another.
        """
        self._settled = False
        self._expired_ms = -1  # all records may bear one time, and memory is to be looked at all the same
        batch, taken = self._new_batch(), 0
        for record in records:
            tp = TopicPartition(record.topic, record.partition)
            if record.offset < self.positions[tp]:
                continue  # a rebalance redelivers from the committed position
            batch = await self._make_room(record, batch)
            self._take(record, batch)
            taken += 1
            self.positions[tp] = batch.positions[tp] = record.offset + 1
            if batch.size_bytes >= self._limits.max_transaction_bytes:
                batch = await self._commit(batch)
        await self._commit(batch)
        self._settled = True
        return taken

    async def tick(self) -> None:
        """Append a tick to this task's own first input, so that stream time is seen to pass."""
        batch = self._new_batch()
        batch.writes[self.inputs[0]] = [Write(None, TICK_VALUE, [])]
        await self._commit(batch)

    async def pass_over(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit positions beyond which there is no record that was not taken: only markers were passed."""
        batch = self._new_batch()
        for tp, offset in positions.items():
            self.positions[tp] = batch.positions[tp] = offset
        await self._commit(batch)

    async def close(self) -> None:
        """Let go of the producer and of the store; state in memory is left to the garbage collector."""
        try:
            self._state.close(settled=self._settled)
        finally:
            if self._transactions is not None:
                await self._transactions.close()

    async def _make_room(self, record: Record, batch: Batch) -> Batch:
        """Let stream time pass up to a record; every `expire_at_a_time` of what is due is a transaction of its own."""
        at_ms = self._log_time_ms = max(self._log_time_ms, record.timestamp)
        if at_ms == self._expired_ms:
            return batch
        more = True
        while more:
            outputs, more = self._fold.expire(at_ms, self._limits.expire_at_a_time)
            source = Source(record.topic, record.partition, record.offset, at_ms, b"")
            for output in outputs:
                self._write(output, source, batch)
            if more:
                batch = await self._commit(batch)
        self._expired_ms = at_ms
        if not self._around.memory_free():
            batch = await self._commit(batch)
            self._state.checkpoint(evict=True)
        if not self._around.memory_free():
            self._expired_ms, self._settled = -1, True
            raise FreeMemory(
                f"state is at its limit; partition {self.partition} of agent {self._agent.name} waits. "
                "Raise SHIELDX_STATE_LIMIT_MB, set SHIELDX_STATE_FOLDER to a disk with room, or add workers"
            )
        return batch

    def _take(self, record: Record, batch: Batch) -> None:
        """Answer one record, forward it, or set it aside."""
        batch.records += 1
        value = record.value
        origin, hopped = NO_ORIGIN, False
        if record.headers:
            origin = _origin_of(record.headers)
            hopped = any(name == HOP for name, _ in record.headers)
        source = Source(record.topic, record.partition, record.offset, self._log_time_ms, value or b"", origin)
        try:
            self._check(record, origin.context)
            message = self._codec.decode(record.topic, value)
        except Undecodable as error:
            self._set_aside(record, source, "unreadable", str(error), batch)
            return
        if type(message) is Tick:
            return
        if isinstance(message, ForPartition):
            at_home = self._is_meant_for_here(record, message, source, batch)
        else:
            at_home = self._route(record, message.tenant_id, source, hopped=hopped, batch=batch)
        if at_home:
            self._fold_one(message, source, batch)

    def _check(self, record: Record, context: Sequence[Header]) -> None:
        """Refuse what cannot be answered.

        Raises:
            Undecodable: says why.
        """
        if context and headers_bytes(context) > MAX_CONTEXT_BYTES:
            raise Undecodable(f"correlation-id and traceparent together exceed {MAX_CONTEXT_BYTES} bytes")
        if (record.topic, record.partition, record.offset) in self._refused:
            raise Undecodable("what it leads to exceeds the size of a record")

    def _route(self, record: Record, tenant_id: str, source: Source, *, hopped: bool, batch: Batch) -> bool:
        """Whether this is the record's home; if not, forward it once."""
        key = tenant_id.encode()
        if record.key != key and record.key is not None:
            self._set_aside(record, source, "key_differs", "the key is not the body's tenant_id", batch)
            return False
        home = home_partition(tenant_id, self._around.partitions)
        if home == self.partition:
            return True
        if hopped:
            detail = f"forwarded once, and still not in its home partition {home}"
            self._set_aside(record, source, "misplaced_again", detail, batch)
            return False
        headers = [*record.headers, (HOP, b"1")]
        if len(source.value) + len(key) + headers_bytes(headers) > self._limits.max_record_bytes:
            detail = f"its home is partition {home}, but with the mark of a forwarded record it is too large"
            self._set_aside(record, source, "too_large_to_forward", detail, batch)
        else:
            batch.add_forwarded(TopicPartition(record.topic, home), key, source.value, headers)
        return False

    def _is_meant_for_here(self, record: Record, message: ForPartition, source: Source, batch: Batch) -> bool:
        if message.partition == self.partition:
            return True
        self._set_aside(record, source, "misplaced", f"it is meant for partition {message.partition}", batch)
        return False

    def _set_aside(self, record: Record, source: Source, reason: str, detail: str, batch: Batch) -> None:
        """Make a record a dead letter, and say so in the log."""
        batch.add_dead_letter(source, record.value, reason, detail)
        correlation_id = next((content for name, content in record.headers if name == CORRELATION_ID), None)
        place = {"agent": self._agent.name, "place": f"{source.topic}/{source.partition}/{source.offset}"}
        if correlation_id is not None:
            place["correlation_id"] = correlation_id[:MAX_LOGGED].decode(errors="replace")
        logger.info("set aside as a dead letter: %s: %s", reason, detail, extra=place)

    def _fold_one(self, message: Any, source: Source, batch: Batch) -> None:
        reply_to = source.origin.reply_to
        if reply_to is not None and reply_to not in self._around.reply_topics:
            detail = "reply-to names a topic that no manifest declares with accepts_replies"
            batch.add_dead_letter(source, source.value, "reply_to_refused", detail)
            source = msgspec.structs.replace(source, origin=Origin(source.origin.context))
        try:
            for output in self._fold.apply(message, source):
                self._write(output, source, batch)
        except OutputTooLarge:
            self._refused.add((source.topic, source.partition, source.offset))
            raise

    def _write(self, output: Output, source: Source, batch: Batch) -> None:
        """Add an output to a batch; a result also goes to the topic that the sender of what it answers has named."""
        origin = source.origin if output.origin is None else output.origin
        write = batch.add_output(output, origin.context, source)
        if origin.reply_to is not None and output.topic == self._agent.writes[0]:
            batch.add_reply(origin.reply_to, write)

    def _new_batch(self) -> Batch:
        agent = self._agent
        return Batch(
            self.partition,
            self._codec,
            agent.counters,
            agent.gauges,
            self._limits.max_record_bytes,
            agent.histograms,
        )

    async def _commit(self, batch: Batch) -> Batch:
        """Commit a batch with the table changes it caused, and begin the next."""
        batch.add_changes(self._fold.changes())
        if self._transactions is None:
            raise RestoreTask(f"task {self._transactional_id} was not started")
        if batch.writes or batch.positions:
            with self._metrics.committing():
                written = await self._transactions.commit(batch.writes, batch.positions)
            self._state.committed(written, batch.writes, batch.records)
            self._metrics.committed(batch, self.size_bytes)
        return self._new_batch()


def _origin_of(headers: Sequence[Header]) -> Origin:
    """What a record's headers say that its answer needs."""
    reply_to = next((content for name, content in reversed(headers) if name == REPLY_TO), None)
    return Origin(carried(headers), None if reply_to is None else reply_to.decode(errors="replace"))
