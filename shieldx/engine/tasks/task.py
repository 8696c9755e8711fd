"""A task: one partition of an agent, with its state, its producer and its positions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.engine.tasks.codec import (
    CORRELATION_ID,
    HOP,
    REPLY_TO,
    TICK_HEADERS,
    TICK_VALUE,
    Undecodable,
    carried,
    is_tick,
)
from shieldx.engine.tasks.dead_letter_reasons import EngineReason
from shieldx.engine.tasks.envelope import envelope_of
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord, Write
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.pending_transaction import (
    MAX_CONTEXT_BYTES,
    OVERHEAD_BYTES,
    PendingTransaction,
    headers_bytes,
)
from shieldx.engine.tasks.task_positions import TaskPositions
from shieldx.engine.tasks.task_state import TaskState
from shieldx.errors import FreeMemory, OutputTooLarge, RestoreTask
from shieldx.messages import NO_ORIGIN, ForPartition, Origin, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.context import TaskContext
    from shieldx.engine.tasks.log import Header, Record, TransactionalProducer
    from shieldx.messages import Output

logger = logging.getLogger(__name__)

MAX_LOGGED = 100
"""Characters of a correlation id in a log line."""
MAX_KEY_BYTES = 1024
"""The UTF-8 size of 256 characters, the longest id."""


class Task:
    """Folds records into outputs and state, and commits both together with the position.

    A task is crash-only: after any error except `FreeMemory`, close it and start a new one. `refused` outlives the
    task. It has the topic, partition and offset of inputs whose outputs were too large, so that the next task sets them
    aside.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        partition: int,
        context: TaskContext,
        metrics: TaskMetrics,
        refused: set[tuple[str, int, int]],
    ) -> None:
        self._agent = agent
        self.partition = partition
        self._context = context
        self._limits = context.limits
        self._codec = context.codec
        self._hop = (HOP, str(context.partitions).encode())
        """Marks what is forwarded. Its home may be another one once the topics have more partitions."""
        self._transactional_id = transactional_id(context.application, agent, partition)
        self._metrics = metrics
        self._refused = refused
        max_record_bytes = self._limits.max_record_bytes - OVERHEAD_BYTES - MAX_KEY_BYTES
        self._state = TaskState(agent, partition, max_record_bytes, context, metrics)
        self._positions = TaskPositions(agent, partition, context)
        self._answers = agent.answers or agent.writes[:1]
        self._settled = False
        self._transactions: TransactionalProducer | None = None
        self._stream_time_ms = 0
        self._expired_ms = -1
        self._ticks = TopicPartition(agent.ticks, partition)
        self.inputs = self._positions.inputs

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset of each input."""
        return self._positions.next_offsets

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something is due, or None."""
        return self._state.due_ms

    @property
    def stream_time_ms(self) -> int:
        """The latest stream time seen, 0 before the first record."""
        return self._stream_time_ms

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the state."""
        return self._state.size_bytes

    async def start(self) -> None:
        """Fence, then read the position, then the tables. In this order no write of a predecessor can be missed.

        A partition that has no level of stored forms yet, or is to have a higher one, gets it here.

        Raises:
            RestoreTask: the log could not be read, or another worker has taken the partition over; try again.
            FixConfiguration: records were deleted unread, there is state without a position, or this release does not
                read what was stored.
        """
        self._transactions = await self._context.log.fence(self._transactional_id)
        await self._positions.read()
        restored = await self._state.restore(self._positions.format_level, tenants_left=self._positions.tenants_left)
        if restored and not self._positions.exist:
            await self._positions.refuse_state_without()
        if not self._positions.level_is_recorded:
            # Before the first row of that level: an older release that takes over must find the level, not the row.
            await self._transactions.commit({}, self._positions.with_level())
        self._settled = True

    async def process(self, records: Sequence[Record]) -> int:
        """Fold records in the given order and commit. Returns how many were new.

        Raises:
            FreeMemory: the state has reached its limit. Processed records are committed; pass all of them again later.
            RestoreTask: close this task and start another.
        """
        self._settled = False
        self._expired_ms = -1  # check memory even if all records have the same time
        pending, taken = self._begin(), 0
        next_offsets = self._positions.next_offsets
        for record in records:
            tp = TopicPartition(record.topic, record.partition)
            if record.offset < next_offsets[tp]:
                continue  # a rebalance redelivers from the committed position
            pending = await self._make_room(record, pending)
            self._take(record, pending)
            taken += 1
            pending.moved[tp] = next_offsets[tp] = record.offset + 1
            if pending.size_bytes >= self._limits.max_transaction_bytes:
                pending = await self._commit(pending)
        await self._commit(pending)
        self._settled = True
        return taken

    async def tick(self) -> None:
        """Append a tick to an input that the agent owns, so that stream time advances."""
        pending = self._begin()
        pending.writes[self._ticks] = [Write(None, TICK_VALUE, TICK_HEADERS)]
        await self._commit(pending)

    async def pass_over(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit positions that have moved past transaction markers but no records."""
        pending = self._begin()
        for tp, offset in positions.items():
            pending.positions[tp] = self._positions.advance(tp, offset)
        await self._commit(pending)

    async def close(self) -> None:
        """Close the producer and the store."""
        try:
            self._state.close(settled=self._settled)
        finally:
            if self._transactions is not None:
                await self._transactions.close()

    async def _make_room(self, record: Record, pending: PendingTransaction) -> PendingTransaction:
        """Advance stream time to a record. Every `expire_at_a_time` due items are one transaction."""
        at_ms = self._stream_time_ms = max(self._stream_time_ms, record.timestamp)
        if at_ms == self._expired_ms:
            return pending
        more = True
        while more:
            outputs, more = self._state.expire(at_ms, self._limits.expire_at_a_time)
            source = Source(record.topic, record.partition, record.offset, at_ms, b"")
            for output in outputs:
                self._write(output, source, pending)
            if more:
                pending = await self._commit(pending)
        self._expired_ms = at_ms
        if not self._context.memory_free():
            pending = await self._commit(pending)
            self._state.checkpoint(evict=True)
        if not self._context.memory_free():
            self._expired_ms, self._settled = -1, True
            raise FreeMemory(
                f"the state has reached its limit; partition {self.partition} of agent {self._agent.name} waits. "
                "Raise SHIELDX_STATE_LIMIT_MB, set SHIELDX_STATE_FOLDER to a disk with room, or add workers"
            )
        return pending

    def _take(self, record: Record, pending: PendingTransaction) -> None:
        """Answer one record, forward it, or set it aside."""
        pending.records += 1
        if is_tick(record):
            return
        value = record.value
        origin, hopped = NO_ORIGIN, False
        if record.headers:
            origin = _origin_of(record.headers)
            hopped = self._hop in record.headers
        source = Source(record.topic, record.partition, record.offset, self._stream_time_ms, value or b"", origin)
        if isinstance(record, UndecodedRecord):
            self._set_aside(record, source, EngineReason.UNDECODABLE, record.reason, pending)
            return
        try:
            self._check(record, origin.context)
            message = self._codec.decode(record.topic, value, record.headers, level=self._positions.format_level)
        except Undecodable as error:
            self._set_aside(record, source, EngineReason.UNREADABLE, str(error), pending)
            return
        if isinstance(message, ForPartition):
            at_home = self._is_meant_for_here(record, message, source, pending)
        else:
            at_home = self._route(record, message.tenant_id, source, hopped=hopped, pending=pending)
        if at_home:
            self._fold_one(record, message, source, pending)

    def _check(self, record: Record, context: Sequence[Header]) -> None:
        """Check that a record can be answered.

        Raises:
            Undecodable: the record cannot be answered. The message says why.
        """
        if context and headers_bytes(context) > MAX_CONTEXT_BYTES:
            raise Undecodable(f"correlation-id and traceparent together exceed {MAX_CONTEXT_BYTES} bytes")
        if (record.topic, record.partition, record.offset) in self._refused:
            raise Undecodable("what it leads to exceeds the size of a record")

    def _route(
        self, record: Record, tenant_id: str, source: Source, *, hopped: bool, pending: PendingTransaction
    ) -> bool:
        """Whether this is the record's home; if not, forward it once."""
        key = tenant_id.encode()
        if record.key != key and record.key is not None:
            self._set_aside(record, source, EngineReason.KEY_DIFFERS, "the key is not the body's tenant_id", pending)
            return False
        home = home_partition(tenant_id, self._context.partitions)
        if home == self.partition:
            return True
        if hopped:
            detail = f"forwarded once, and still not in its home partition {home}"
            self._set_aside(record, source, EngineReason.MISPLACED_AGAIN, detail, pending)
            return False
        if not self._agent.is_owner_of(record.topic):
            detail = f"its home is partition {home}, and only an agent that owns {record.topic} forwards it"
            self._set_aside(record, source, EngineReason.MISPLACED, detail, pending)
            return False
        headers = [*record.headers, self._hop]
        if len(source.value) + len(key) + headers_bytes(headers) > self._limits.max_record_bytes:
            detail = f"its home is partition {home}, but with the mark of a forwarded record it is too large"
            self._set_aside(record, source, EngineReason.TOO_LARGE_TO_FORWARD, detail, pending)
        else:
            pending.add_forwarded(TopicPartition(record.topic, home), key, source.value, headers)
        return False

    def _is_meant_for_here(
        self, record: Record, message: ForPartition, source: Source, pending: PendingTransaction
    ) -> bool:
        if message.partition == self.partition:
            return True
        self._set_aside(
            record, source, EngineReason.MISPLACED, f"it is meant for partition {message.partition}", pending
        )
        return False

    def _set_aside(
        self,
        record: Record,
        source: Source,
        reason: EngineReason,
        detail: str,
        pending: PendingTransaction,
        *,
        tell: bool = True,
    ) -> None:
        """Write a dead letter about a record and log it; with `tell`, answer its sender too, if it says who that is."""
        pending.add_dead_letter(source, record, reason, detail)
        if tell and self._agent.unreadable is not None and self._codec.is_strict(record.topic):
            self._tell_sender(record, source, detail, pending)
        correlation_id = next((content for name, content in record.headers if name == CORRELATION_ID), None)
        place = {"agent": self._agent.name, "place": source.place}
        if correlation_id is not None:
            place["correlation_id"] = correlation_id[:MAX_LOGGED].decode(errors="replace")
        logger.info("set aside as a dead letter: %s: %s", reason, detail, extra=place)

    def _tell_sender(self, record: Record, source: Source, detail: str, pending: PendingTransaction) -> None:
        """Answer a record that cannot be executed. Nothing of it is remembered."""
        envelope = envelope_of(record, self._codec.tags_of(record.topic), detail)
        if envelope is None or self._agent.unreadable is None:
            return
        origin = source.origin
        context = origin.context if headers_bytes(origin.context) <= MAX_CONTEXT_BYTES else ()
        reply_to = origin.reply_to if origin.reply_to in self._context.reply_topics else None
        answer = msgspec.structs.replace(self._agent.unreadable(envelope, source), origin=Origin(context, reply_to))
        try:
            self._write(answer, source, pending)
        except OutputTooLarge as error:
            logger.warning("a sender is not told of a dead letter: %s", error, extra={"agent": self._agent.name})

    def _fold_one(self, record: Record, message: Any, source: Source, pending: PendingTransaction) -> None:
        doubt = self._context.signatures.doubt(record, message, source)
        if doubt is not None:
            self._set_aside(record, source, doubt.reason, doubt.detail, pending, tell=False)
            if doubt.reason is not EngineReason.RESERVED_NAME:
                return
        decide = self._state.fold.apply if doubt is None else self._state.refuse_reserved
        reply_to = source.origin.reply_to
        if reply_to is not None and reply_to not in self._context.reply_topics:
            detail = "reply-to names a topic that accepts no replies of this agent"
            pending.add_dead_letter(source, record, EngineReason.REPLY_TO_REFUSED, detail)
            source = msgspec.structs.replace(source, origin=Origin(source.origin.context))
        try:
            for output in decide(message, source):
                self._write(output, source, pending)
        except OutputTooLarge:
            self._refused.add((source.topic, source.partition, source.offset))
            raise

    def _write(self, output: Output, source: Source, pending: PendingTransaction) -> None:
        """Add an output. An answer also goes to the topic that the sender of the command named."""
        origin = source.origin if output.origin is None else output.origin
        write = pending.add_output(output, origin.context, source)
        if origin.reply_to is not None and output.topic in self._answers:
            pending.add_reply(origin.reply_to, write)

    def _begin(self) -> PendingTransaction:
        agent = self._agent
        return PendingTransaction(
            self.partition,
            self._codec,
            agent.counters,
            agent.gauges,
            self._limits.max_record_bytes,
            agent.histograms,
            self._context.signatures,
            mask=self._context.mask,
        )

    async def _commit(self, pending: PendingTransaction) -> PendingTransaction:
        """Commit a transaction with its table changes, and begin the next one."""
        pending.add_changes(self._state.changes())
        if self._transactions is None:
            raise RestoreTask(f"task {self._transactional_id} was not started")
        for tp, next_offset in pending.moved.items():
            pending.positions[tp] = self._positions.advance(tp, next_offset)
        if pending.writes or pending.positions:
            with self._metrics.committing():
                written = await self._transactions.commit(pending.writes, pending.positions)
            self._positions.committed(written)
            self._state.committed(written, pending.writes, pending.records)
            self._metrics.committed(pending, self.size_bytes)
        return self._begin()


def transactional_id(application: str, agent: Agent, partition: int) -> str:
    """The id of the producer of one partition. Whoever fences it takes the partition over."""
    return f"{application}.{agent.name}.{partition}"


def _origin_of(headers: Sequence[Header]) -> Origin:
    """The origin of a record, from its headers."""
    reply_to = next((content for name, content in reversed(headers) if name == REPLY_TO), None)
    return Origin(carried(headers), None if reply_to is None else reply_to.decode(errors="replace"))
