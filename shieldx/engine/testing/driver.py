"""Runs a whole agent without a broker, for tests: send, run, read.

docs/how-to/testing.md shows how to use it in your own tests.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from heapq import merge
from itertools import islice
from math import inf
from operator import attrgetter, or_
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.engine.declarations.declared import internal_topics
from shieldx.engine.declarations.replies import reply_topics
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.codec import SCHEMA, TICK_HEADERS, Codec
from shieldx.engine.tasks.context import Limits, TaskContext
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partition_split import MAX_TRANSACTION_BYTES, PartitionSplit
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.tasks.task import Task
from shieldx.engine.testing.memory_log import MemoryLog
from shieldx.errors import FreeMemory, RestoreTask
from shieldx.messages import Tick
from shieldx.privacy import mask_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.log import Header
    from shieldx.engine.tasks.signatures import SigningKeys
    from shieldx.engine.testing.memory_log import MemoryRecord

START_MS = 1_767_268_800_000
"""2026-01-01T12:00:00.000Z, the start of a driver's clock."""
RESTARTS_IN_VAIN = 10
"""A partition that fails this often without progress is stuck."""


class DriverKeys(dict[str, bytes]):
    """Keys for signatures, of which the first one signs."""

    @property
    def first(self) -> str:
        """The id of the first key."""
        return next(iter(self))


KEYS = DriverKeys({"driver": b"the same for all drivers"})


class AgentDriver:
    """An agent with all its partitions, a log in memory, and a clock that only the test advances.

    Errors are handled as in a worker: a task that raises RestoreTask is dropped, and a new one restores the state from
    the tables. `format_level` is what SHIELDX_FORMAT_LEVEL is to a worker, and `keys` are what its platform keyring is.
    By default all drivers have the same keys, so that agents accept each other's records.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        topics: Mapping[str, Topic],
        *,
        partitions: int = 1,
        limits: Limits | None = None,
        records_at_a_time: int = 500,
        stores: TaskStores | None = None,
        format_level: int | None = None,
        keys: SigningKeys | None = KEYS,
    ) -> None:
        topics = internal_topics([agent]) | dict(topics)
        self.now_ms = START_MS
        self.state_limit_bytes = inf
        """Lower it to test an agent whose estimated state has reached the limit."""
        self.memory_share_bytes = inf
        """Lower it to make an agent with a store evict state at its checkpoints."""
        self.mask: Callable[[bytes], bytes] = mask_bytes
        """Masks the values of dead letters."""
        self.partitions = partitions
        self.log = MemoryLog(topics, partitions, now_ms=lambda: self.now_ms)
        self.metrics = Metrics([agent])
        self.tasks: dict[int, Task] = {}
        """The current task of each partition that has run."""
        self._agent = agent
        self._records_at_a_time = records_at_a_time
        self._refused: set[tuple[str, int, int]] = set()
        self._schemas = {name: kind for topic in topics.values() for name, kind in topic.types().items()}
        self._schemas |= {content.decode(): Tick for _, content in TICK_HEADERS}
        self._types = {name: _any_of(topic) for name, topic in topics.items()}
        self._context = TaskContext(
            application="test",
            partitions=partitions,
            log=self.log,
            codec=Codec(topics, agent.inputs),
            signatures=Signatures(agent, topics, keys, lambda: self.now_ms),
            reply_topics=reply_topics(agent.name, topics),
            memory_free=self._memory_free,
            memory_share=lambda: self.memory_share_bytes,
            stores=stores,
            wall_ms=lambda: self.now_ms,
            format_level=format_level,
            mask=lambda value: self.mask(value),  # noqa: PLW0108 - a test may replace it
            limits=limits or Limits(),
        )

    def send(
        self,
        topic: str,
        value: msgspec.Struct | bytes | None,
        *,
        key: bytes | msgspec.UnsetType | None = msgspec.UNSET,
        partition: int | None = None,
        headers: Sequence[Header] = (),
        at_ms: int | None = None,
    ) -> MemoryRecord:
        """Append a record as a producer would.

        The default `key` of a message is its tenant_id; bytes have none. The default `partition` follows from the key,
        as in Kafka's Java client, and is 0 without a key. `at_ms` overrides the driver's clock.
        """
        if key is msgspec.UNSET:
            tenant_id = getattr(value, "tenant_id", None)
            key = None if tenant_id is None else tenant_id.encode()
        if partition is None:
            partition = 0 if key is None else home_partition(key.decode(errors="replace"), self.partitions)
        body = msgspec.json.encode(value) if isinstance(value, msgspec.Struct) else value
        return self.log.append(TopicPartition(topic, partition), body, key=key, headers=headers, at_ms=at_ms)

    def advance(self, ms: int) -> None:
        """Advance the broker's clock. Tasks see it in the next record, or in `tick`."""
        self.now_ms += ms

    async def run(self) -> None:
        """Process all records in the agent's inputs, in all partitions.

        A partition that waits for memory keeps waiting.

        Raises:
            RestoreTask: a task failed ten times in a row without progress; the last error.
        """
        progress = True
        while progress:
            progress = False
            for partition in range(self.partitions):
                progress |= await self._run_once(partition)

    async def tick(self) -> None:
        """Append a tick to every partition, as a worker does when a partition is idle, and run."""
        for partition in range(self.partitions):
            await (await self._task(partition)).tick()
        await self.run()

    async def stop(self, partition: int) -> None:
        """Close the current task cleanly. The next one starts when there is something to do."""
        task = self.tasks.pop(partition, None)
        if task is not None:
            await task.close()

    async def restart(self, partition: int) -> Task | None:
        """Start a new task, as after a crash or a rebalance.

        Returns the previous task, if any: a zombie, which does not know that it has been replaced.
        """
        former = self.tasks.pop(partition, None)
        await self._task(partition)
        return former

    async def grow(self, partitions: int, *, max_transaction_bytes: int = MAX_TRANSACTION_BYTES) -> None:
        """Give every topic more partitions and move tenants there, as `shieldx topics grow` does.

        Raises:
            RestoreTask: a fault was injected; call it again.
            FixConfiguration: see `PartitionSplit`.
        """
        for partition in list(self.tasks):
            await self.stop(partition)
        self.log.add_partitions(partitions)
        for partition in range(self.partitions):
            split = PartitionSplit(
                self._agent,
                partition,
                self.log,
                application=self._context.application,
                before=self.partitions,
                after=partitions,
                max_transaction_bytes=max_transaction_bytes,
            )
            await split.run()
        self.partitions = partitions
        self._context = replace(self._context, partitions=partitions)

    def waiting(self, partition: int) -> list[MemoryRecord]:
        """The records that the current task has not processed yet, by time; those of one input in offset order."""
        task = self.tasks[partition]
        inputs = [self.log.read(tp, task.positions[tp]) for tp in task.inputs]
        return list(merge(*inputs, key=attrgetter("timestamp")))

    def read(self, topic: str) -> list[MemoryRecord]:
        """Every committed record of a topic, partition by partition."""
        numbers = range(self.partitions)
        return [record for number in numbers for record in self.log.read(TopicPartition(topic, number))]

    def messages(self, topic: str) -> list[Any]:
        """Every committed message of a topic, partition by partition; None where a key was deleted.

        A record's schema header gives its type. A record without one has any of the types in the topic's manifest, or
        is plain JSON if there are none.

        Raises:
            msgspec.ValidationError: a record does not match its schema.
        """
        return [self._decode(record) for record in self.read(topic)]

    def _decode(self, record: MemoryRecord) -> Any:
        if record.value is None:
            return None
        schema = dict(record.headers).get(SCHEMA)
        kind = self._types[record.topic] if schema is None else self._schemas[schema.decode()]
        return msgspec.json.decode(record.value, type=kind)

    async def _task(self, partition: int) -> Task:
        """The current task; a new one if there is none."""
        if partition not in self.tasks:
            metrics = self.metrics.task(self._agent.name, partition)
            task = Task(self._agent, partition, self._context, metrics, self._refused)
            with metrics.restoring():
                await task.start()
            self.tasks[partition] = task
        return self.tasks[partition]

    def _memory_free(self) -> bool:
        return sum(task.size_bytes for task in self.tasks.values()) < self.state_limit_bytes

    async def _run_once(self, partition: int) -> bool:
        """Process what one fetch would return. Returns whether anything may have changed."""
        failures = 0
        while True:
            try:
                task = await self._task(partition)
                before = dict(task.positions)
                await task.process(list(islice(self.waiting(partition), self._records_at_a_time)))
            except FreeMemory:
                pass  # what it processed before counts
            except RestoreTask:
                await self._drop(partition)
                failures += 1
                if failures == RESTARTS_IN_VAIN:
                    raise
                continue
            return failures > 0 or task.positions != before

    async def _drop(self, partition: int) -> None:
        self.metrics.task(self._agent.name, partition).restarts.inc()
        task = self.tasks.pop(partition, None)
        if task is not None:
            await task.close()


def _any_of(topic: Topic) -> Any:
    """The type of a record without a schema header."""
    types = topic.types().values()
    return reduce(or_, types) if types else Any
