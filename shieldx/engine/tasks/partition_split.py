"""Splits a partition of an agent: tenants whose home is a new partition move there, with their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.position import VERSION, Position
from shieldx.engine.tasks.task import transactional_id
from shieldx.errors import FixConfiguration
from shieldx.state.forms import FORMAT_LEVEL
from shieldx.state.table import Divided

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.log import Log, Record, TransactionalProducer
    from shieldx.state.table import TableSpec

MAX_TRANSACTION_BYTES = 8 * 1024 * 1024
"""Rows are copied in transactions of about this size, so that each ends within the transaction timeout."""


class PartitionSplit:
    """Splits one partition of one agent, once the topics have a multiple of the partitions that they had.

    Nothing that is in the partition changes. Rows of tenants that leave are appended to the tables of their new home,
    in transactions that also say how far this partition's tables are copied: after a crash another split continues
    from there. The last transaction writes the positions with the new partition count. Only then do workers start.

    The transactions have the task's own id: a worker that is still at work is fenced, or fences the split.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        partition: int,
        log: Log,
        *,
        application: str,
        before: int,
        after: int,
        max_transaction_bytes: int = MAX_TRANSACTION_BYTES,
    ) -> None:
        """`before` and `after` are partition counts, and `after` is a multiple of `before`."""
        self._agent = agent
        self._partition = partition
        self._log = log
        self._application = application
        self._before = before
        self._after = after
        self._max_transaction_bytes = max_transaction_bytes
        self._added = tuple(range(partition + before, after, before))
        self.rows = 0
        """How many rows this split has copied so far. A row for several partitions counts for each."""

    async def run(self) -> None:
        """Copy what was not copied before, and hand the tenants over. Does nothing if that was done.

        Raises:
            FixConfiguration: a partition that was added has rows of its own, or the partition has another count.
            LeaveTask: a worker is at work on the partition.
            RestoreTask: the log failed; run it again.
        """
        transactions = await self._log.fence(self._id(self._partition))
        try:
            await self._fence_added()
            positions = await self._positions(self._partition)
            counts = {position.partitions for position in positions.values()} - {None}
            if counts == {self._after}:
                return
            if not counts <= {self._before}:
                raise FixConfiguration(
                    f"partition {self._partition} of agent {self._agent.name} was written with {counts} partitions, "
                    f"not {self._before}"
                )
            await self._copy(transactions)
            positions = await self._send_on(positions, transactions)
            await transactions.commit({}, positions | await self._beginnings(positions))
        finally:
            await transactions.close()

    async def _fence_added(self) -> None:
        """Abort what a killed worker left open in a partition that was added while it was at work."""
        for partition in self._added:
            await (await self._log.fence(self._id(partition))).close()

    async def _copy(self, transactions: TransactionalProducer) -> None:
        """Copy the rows that go to other partitions, from where they are copied already."""
        specs = {spec.topic: spec for spec in self._agent.state if spec.divided is not Divided.STAYS}
        tables = [TopicPartition(topic, self._partition) for topic in specs]
        starts = await self._copied(tables)
        await self._refuse_rows_of_its_own([tp.topic for tp in tables if tp not in starts])
        writes: dict[TopicPartition, list[Write]] = {}
        moved: dict[TopicPartition, Position] = {}
        size = 0
        async for records in self._log.read_to_end(tables, starts):
            for record in records:
                for partition, write in self._moves(specs[record.topic], record):
                    writes.setdefault(TopicPartition(record.topic, partition), []).append(write)
                    size += len(write.key or b"") + len(write.value or b"")
                table = TopicPartition(record.topic, record.partition)
                moved[table] = self._position(record.offset + 1, self._after)
                if size >= self._max_transaction_bytes:
                    await self._commit(writes, moved, transactions)
                    writes, moved, size = {}, {}, 0
        if moved:
            await self._commit(writes, moved, transactions)

    async def _copied(self, tables: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """How far tables are copied already, without those that are not begun."""
        found, bounds = await self._log.positions(tables), await self._log.bounds(tables)
        return {
            tp: max(bounds[tp][0], position.next_offset)  # retention may have passed it since
            for tp, position in found.items()
            if position.partitions == self._after
        }

    def _moves(self, spec: TableSpec[Any], record: Record) -> Iterator[tuple[int, Write]]:
        """The partitions that get a row, and the row as they get it."""
        key, value = record.key, record.value
        if key is None:
            return
        targets: Iterable[int] = self._added
        if spec.divided is Divided.BY_TENANT:
            home = home_partition(spec.tenant_of(key), self._after)
            targets = (home,) if home in self._added else ()
        for partition in targets:
            moved = None if value is None else spec.moved(self._partition, value)
            yield partition, Write(key, moved, list(record.headers))

    async def _refuse_rows_of_its_own(self, topics: Collection[str]) -> None:
        """Refuse to mix rows with those that something else has written to a partition that was added."""
        added = [TopicPartition(topic, partition) for topic in topics for partition in self._added]
        places = [(records[0].topic, records[0].partition) async for records in self._log.read_to_end(added)]
        if places:
            topic, partition = min(places)
            raise FixConfiguration(
                f"{topic}/{partition} has records, but no tenant was moved there yet: a worker has executed "
                f"commands there, with SHIELDX_PARTITIONS={self._after} on data of {self._before}. Compare its "
                "results with those of before, and restore the topics from a backup"
            )

    async def _send_on(
        self, positions: Mapping[TopicPartition, Position], transactions: TransactionalProducer
    ) -> dict[TopicPartition, Position]:
        """Send records that are not read yet to where their tenants are. Returns the positions, with the new count.

        Only inputs that other agents write, which have stopped. What clients write, the owner forwards itself.
        """
        agent, moved = self._agent, dict(positions)
        for tp in [tp for tp in positions if tp.topic in agent.reads and not agent.is_owner_of(tp.topic)]:
            writes: dict[TopicPartition, list[Write]] = {}
            async for records in self._log.read_to_end([tp], {tp: positions[tp].next_offset}):
                for record in records:
                    to = TopicPartition(tp.topic, self._home_of(record))
                    writes.setdefault(to, []).append(Write(record.key, record.value, list(record.headers)))
                here = {tp: msgspec.structs.replace(positions[tp], next_offset=records[-1].offset + 1)}
                await self._commit(writes, here, transactions)
                moved |= here
                writes = {}
        return {tp: self._grown(position, position.next_offset) for tp, position in moved.items()}

    def _home_of(self, record: Record) -> int:
        """Where a record belongs. One that is not at home here anyway stays, and is set aside as before."""
        if record.key is None:
            return self._partition
        home = home_partition(record.key.decode(errors="replace"), self._after)
        return home if home in self._added else self._partition

    async def _beginnings(self, of_partition: Mapping[TopicPartition, Position]) -> dict[TopicPartition, Position]:
        """The positions of the partitions that were added: where forwarding has brought them, or their first records.

        `of_partition` are those of the partition that is split, whose conditions they take over.
        """
        begun: dict[TopicPartition, Position] = {}
        for partition in self._added:
            for tp, position in (await self._positions(partition)).items():
                like = of_partition[TopicPartition(tp.topic, self._partition)]
                level = like.format_level if position.format_level is None else position.format_level
                begun[tp] = self._grown(msgspec.structs.replace(position, format_level=level), position.next_offset)
        return begun

    async def _positions(self, partition: int) -> dict[TopicPartition, Position]:
        """The positions of a partition in all inputs; the first record where there is none."""
        inputs = [TopicPartition(topic, partition) for topic in self._agent.inputs]
        found, bounds = await self._log.positions(inputs), await self._log.bounds(inputs)
        return {tp: found[tp] if tp in found else self._position(bounds[tp][0], None) for tp in inputs}

    def _position(self, next_offset: int, partitions: int | None) -> Position:
        return Position(version=VERSION, next_offset=next_offset, application=self._application, partitions=partitions)

    def _grown(self, position: Position, grown_at: int) -> Position:
        level = FORMAT_LEVEL if position.format_level is None else position.format_level
        return msgspec.structs.replace(
            position, partitions=self._after, grown_at=grown_at, format_level=level, outputs={}
        )

    async def _commit(
        self,
        writes: Mapping[TopicPartition, Sequence[Write]],
        positions: Mapping[TopicPartition, Position],
        transactions: TransactionalProducer,
    ) -> None:
        await transactions.commit(writes, positions)
        self.rows += sum(map(len, writes.values()))

    def _id(self, partition: int) -> str:
        return transactional_id(self._application, self._agent, partition)
