"""A task's state, which is restored from a checkpoint and the tables, and checkpointed regularly."""

from __future__ import annotations

import logging
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.declarations.fold import ExpiringFold, RefusingFold
from shieldx.engine.declarations.manifests import DELETE_RETENTION_MS
from shieldx.engine.tasks.checkpoint import CHECKPOINT_VERSION, Checkpoint, refusal
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord
from shieldx.engine.tasks.partitioner import RowsAtHome
from shieldx.errors import FixConfiguration, FreeDisk, RestoreTask, ShieldXError, WaitForDisk
from shieldx.state.forms import FORMAT_LEVEL, UnknownForm
from shieldx.state.partition_state import PartitionState
from shieldx.state.table import Change, Divided

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping, Sequence
    from typing import Any

    from shieldx.engine.declarations.fold import Fold
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.checkpoint import TaskStore
    from shieldx.engine.tasks.context import TaskContext
    from shieldx.engine.tasks.log import Record
    from shieldx.messages import Output, Source

logger = logging.getLogger(__name__)

CHECKPOINT_RECORDS = 1000
"""A checkpoint blocks the process for some microseconds per record; more records would delay other partitions."""
CHECKPOINT_S = 1.0
RESTORED_BYTES = 1024 * 1024
"""While tables are restored, state goes to disk each time this much was read."""
RETRY_S = 0.5
"""Pause after a failed checkpoint."""


class TaskState:
    """The fold of one task, and its store on disk.

    The store may be behind the tables but never ahead of them: it takes only committed changes, together with the
    offsets up to which they reach. Without a store all state is in memory, and every start reads the whole tables.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        partition: int,
        max_record_bytes: int,
        context: TaskContext,
        metrics: TaskMetrics,
    ) -> None:
        self._agent = agent
        self._partition = partition
        self._max_record_bytes = max_record_bytes
        self._context = context
        self._log = context.log
        self._metrics = metrics
        self._store: TaskStore | None = None
        self._cluster = ""
        self._tables = tuple(TopicPartition(topic, partition) for topic in agent.tables)
        self._positions: dict[TopicPartition, int] = {}
        self._unflushed = 0
        self._due_s = self._not_before_s = 0.0
        self._put_off = False
        self._as_of_ms = 0
        """A time at which no record beyond this task's position in the tables was older, since older tombstones may be
        compacted away. The time of the last checkpoint would be wrong, because another owner may have written since."""
        self._place = {"agent": agent.name, "partition": partition}
        self._format_level = FORMAT_LEVEL
        self._at_home = RowsAtHome({}, context.partitions)
        """Passes over rows of tenants that moved from here to another partition, once there may be any."""
        self._left: dict[tuple[str, bytes], None] = {}
        """Rows that such tenants left in tables that are to keep nothing of them. The next transaction deletes them."""
        self._state = PartitionState(agent.state, partition)
        self._fold: Fold | None = None
        self._expire: Callable[[int, int], tuple[Sequence[Output], bool]] | None = None

    @property
    def fold(self) -> Fold:
        """The fold, which is created once the tables are restored."""
        if self._fold is None:
            raise RestoreTask(f"the state of partition {self._partition} was not restored")
        return self._fold

    @property
    def due_ms(self) -> int | None:
        """The earliest stream time at which something is due, or None."""
        return self._state.due_ms

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""
        return self._state.size_bytes

    def changes(self) -> Iterator[Change]:
        """The last value of each key of each table that changed since the last call."""
        left, self._left = self._left, {}
        return chain([Change(topic, key, None) for topic, key in left], self._state.changes())

    def refuse_reserved(self, message: Any, source: Source) -> Sequence[Output]:
        """The fold's answer to a message that uses a reserved name, if it answers such messages."""
        return self.fold.refuse_reserved(message, source) if isinstance(self.fold, RefusingFold) else ()

    def expire(self, at_ms: int, limit: int) -> tuple[Sequence[Output], bool]:
        """Let the tables and the fold process up to `limit` due items each; the flag says whether there are more."""
        more = self._state.expire(at_ms, limit)
        if self._expire is None:
            return (), more
        outputs, more_in_fold = self._expire(at_ms, limit)
        return outputs, more or more_in_fold

    async def restore(self, format_level: int, *, tenants_left: bool = False) -> bool:
        """Restore the state and create the fold. Returns whether there was any state.

        With `tenants_left`, rows of tenants that are at home in another partition are passed over: they have moved.

        Raises:
            RestoreTask: the log or the store could not be read; try again.
            FixConfiguration: the folder of stores cannot be used, or this release does not read what was stored.
        """
        self._format_level = format_level
        if tenants_left:
            by_tenant = [spec for spec in self._agent.state if spec.divided is Divided.BY_TENANT]
            self._at_home = RowsAtHome({spec.topic: spec.tenant_of for spec in by_tenant}, self._context.partitions)
        restored = await self._read_tables()
        fold = self._fold = self._agent.fold(self._state.context(self._max_record_bytes))
        self._expire = fold.expire if isinstance(fold, ExpiringFold) else None
        return restored

    async def _read_tables(self) -> bool:
        began_ms = self._as_of_ms = self._context.wall_ms()
        restored, unflushed_bytes = await self._open(), 0
        async for records in self._log.read_to_end(self._tables, self._positions):
            restored = True
            for record in records:
                unflushed_bytes += self._restore_one(record)
            self._unflushed += len(records)
            if unflushed_bytes >= RESTORED_BYTES:
                self._make_room()
                unflushed_bytes = 0
        self._as_of_ms = began_ms
        return restored

    def _make_room(self) -> None:
        """Write what was read so far to disk. Without a disk, or if it is full, the state must fit into memory."""
        self.checkpoint(evict=True)
        if self._context.stores is not None and not self._context.memory_free():
            raise RestoreTask(
                f"the state of partition {self._partition} does not fit into memory, and there is no room on disk. "
                "Free some of SHIELDX_STATE_FOLDER, or raise SHIELDX_STATE_LIMIT_MB"
            )

    def committed(self, written: Mapping[TopicPartition, int], wrote: Container[TopicPartition], records: int) -> None:
        """Note a committed transaction with `records` input records.

        `wrote` has the partitions that it wrote, `written` the offsets after its records in them.

        Raises:
            RestoreTask: the end of its table rows is unknown, so no checkpoint is possible.
        """
        if self._store is None:
            return
        for tp in self._tables:
            if tp in written:
                self._positions[tp] = written[tp]
            elif tp in wrote:
                raise RestoreTask(f"the broker did not say where in {tp.topic}/{tp.partition} the last rows are")
        self._as_of_ms = self._context.wall_ms()
        self._unflushed += records
        now_s = monotonic()
        if now_s >= self._not_before_s and (self._unflushed >= CHECKPOINT_RECORDS or now_s >= self._due_s):
            self.checkpoint(evict=self.size_bytes > self._context.memory_share())

    def checkpoint(self, *, evict: bool = False) -> None:
        """Write all changes to the store. What it cannot take now stays in memory, and is logged.

        Raises:
            RestoreTask: the store is damaged.
        """
        store = self._store
        if store is None:
            return
        began_s = monotonic()
        try:
            batch = store.begin()
            self._state.flush(batch)
            store.write(batch, self._made(self._positions))
        except FreeDisk as error:
            self._put_off_by(error)
            return
        if self._put_off:
            logger.info("checkpoints succeed again", extra=self._place)
        self._put_off = False
        self._state.flushed(evict=evict)
        self._unflushed = 0
        self._due_s = monotonic() + CHECKPOINT_S
        self._metrics.checkpointed(monotonic() - began_s, store.size_bytes)

    def _put_off_by(self, error: FreeDisk) -> None:
        self._not_before_s = monotonic() + RETRY_S
        if not isinstance(error, WaitForDisk) and not self._put_off:
            self._put_off = True
            logger.warning("checkpoints are postponed, and state stays in memory: %s", error, extra=self._place)

    def close(self, *, settled: bool) -> None:
        """Close the store. If `settled`, the fold has no uncommitted changes and a last checkpoint is written."""
        if self._store is None:
            return
        try:
            if settled:
                self.checkpoint()
        except ShieldXError as error:
            logger.warning("the last checkpoint failed: %s", error, extra=self._place)
        finally:
            self._store.close()
            self._store = None

    async def _open(self) -> bool:
        """Open the store and continue from its checkpoint, if that is valid. Returns whether it contains state."""
        self._state = PartitionState(self._agent.state, self._partition, format_level=self._format_level)
        if self._context.stores is None:
            return False
        try:
            store = self._store = self._context.stores.open(self._agent.name, self._partition)
        except FreeDisk as error:
            logger.warning("running without a checkpoint, in memory only: %s", error, extra=self._place)
            return False
        self._cluster = await self._log.cluster()
        bounds = await self._log.bounds(self._tables)
        self._positions = {tp: first for tp, (first, _) in bounds.items()}
        found = store.checkpoint
        if found is not None:
            reason = refusal(found, self._made({}), bounds, delete_retention_ms=DELETE_RETENTION_MS)
            if reason is None:
                self._as_of_ms = found.as_of_ms
                self._positions = {tp: found.positions[tp.topic] for tp in self._tables}
            else:
                logger.warning("the checkpoint is discarded: %s", reason, extra=self._place)
                store.clear()
                found = None
        self._state = PartitionState(self._agent.state, self._partition, store, format_level=self._format_level)
        return found is not None and any(found.positions.values())

    def _restore_one(self, record: Record) -> int:
        """Restore one record of a table. Returns its size in bytes."""
        if isinstance(record, UndecodedRecord):
            raise FixConfiguration(
                f"{record.topic}/{record.partition}/{record.offset}, a record of a table, cannot be decoded: "
                f"{record.reason}. Another program wrote to the topic, or its disk is damaged: restore it from a backup"
            )
        if record.key is None:
            raise RestoreTask(f"{record.topic}/{record.partition}/{record.offset} has no key; tables need one")
        self._positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if not self._at_home(record):
            self._note_left(record.topic, record.key, deleted=record.value is None)
            return 0
        place = f"{record.topic}/{record.partition}/{record.offset}"
        try:
            if record.value is not None:
                self._context.codec.check_schema(record.topic, record.headers)
            self._state.restore(record.topic, record.key, record.value)
        except UnknownForm as error:
            raise FixConfiguration(
                f"{place}: {error}. Run the release that wrote it, or a later one. State of a release before 0.2 "
                "cannot be read"
            ) from error
        except (msgspec.MsgspecError, ValueError) as error:
            raise FixConfiguration(
                f"{place} is not a row of its table: a later release or another program wrote to {record.topic}. Run "
                "that release, or find the program and restore the topic from a backup"
            ) from error
        return len(record.key) + len(record.value or b"")

    def _note_left(self, topic: str, key: bytes, *, deleted: bool) -> None:
        if deleted:
            self._left.pop((topic, key), None)
        elif any(spec.topic == topic and spec.erasable for spec in self._agent.state):
            self._left[topic, key] = None

    def _made(self, positions: Mapping[TopicPartition, int]) -> Checkpoint:
        return Checkpoint(
            version=CHECKPOINT_VERSION,
            format_level=self._format_level,
            cluster=self._cluster,
            partitions=self._context.partitions,
            positions={tp.topic: offset for tp, offset in positions.items()},
            as_of_ms=self._as_of_ms,
        )
