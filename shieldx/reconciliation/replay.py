"""Replays the ledger: the same task on a log that commits nothing but collects what would be written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shieldx.engine.declarations.replies import reply_topics
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.codec import Codec
from shieldx.engine.tasks.context import TaskContext
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.log import Record, TopicPartition, Write
    from shieldx.engine.tasks.position import Position
    from shieldx.engine.tasks.signatures import SigningKeys

MEMORY_BYTES = 256_000_000
"""The memory limit for the state of a partition; with stores, state on disk is evicted above it."""

Written = dict["TopicPartition", list["Write"]]


class _Kept:
    """Implements both `Log` and `Transactions`: nothing was committed before, and new commits are collected here."""

    def __init__(self) -> None:
        self.written: Written = {}
        self._ends: dict[TopicPartition, int] = {}

    async def fence(self, transactional_id: str) -> _Kept:  # noqa: ARG002 - there are no other writers
        return self

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:  # noqa: ARG002 - it begins at nothing
        return {}

    async def cluster(self) -> str:
        return "replay"

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return dict.fromkeys(partitions, (0, 0))

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return dict.fromkeys(topics, "replay")

    async def read_to_end(
        self,
        partitions: Iterable[TopicPartition],  # noqa: ARG002 - there are no tables yet
        positions: Mapping[TopicPartition, int] | None = None,  # noqa: ARG002 - likewise
    ) -> AsyncIterator[Sequence[Record]]:
        return
        yield ()

    async def commit(
        self,
        writes: Mapping[TopicPartition, Sequence[Write]],
        positions: Mapping[TopicPartition, Position],  # noqa: ARG002 - the caller knows what it has offered
    ) -> dict[TopicPartition, int]:
        for tp, records in writes.items():
            self.written.setdefault(tp, []).extend(records)
            self._ends[tp] = self._ends.get(tp, 0) + len(records)
        return {tp: self._ends[tp] for tp in writes}

    async def close(self) -> None:
        """There is nothing to close."""


class LedgerReplay:
    """One partition of an agent from its beginning. The output depends only on the records.

    Transaction boundaries are only visible in the tables, where each row is the last of its transaction. With `stores`,
    which must be empty, the state may exceed memory. `keys` check the signatures of agents, as the ledger's do.
    """

    def __init__(
        self,
        agent: TransactionalAgent,
        partition: int,
        *,
        topics: Mapping[str, Topic],
        partitions: int,
        keys: SigningKeys | None,
        stores: TaskStores | None = None,
    ) -> None:
        quiet = replace(agent, counters=(), gauges=())
        self._log = _Kept()
        context = TaskContext(
            application="replay",
            partitions=partitions,
            log=self._log,
            codec=Codec(topics, agent.inputs),
            signatures=Signatures(agent, topics, keys, lambda: 0),
            reply_topics=reply_topics(agent.name, topics),
            memory_free=lambda: True,
            memory_share=lambda: MEMORY_BYTES,
            stores=stores,
        )
        self._task = Task(quiet, partition, context, Metrics([]).task(agent.name, partition), set())

    async def start(self) -> None:
        """Start with empty state."""
        await self._task.start()

    async def process(self, records: Sequence[Record]) -> Written:
        """Process the next records. Returns what would be written, by partition and in order.

        Raises:
            OutputTooLarge: An output exceeds the maximum record size.
        """
        await self._task.process(records)
        written, self._log.written = self._log.written, {}
        return written

    async def close(self) -> None:
        """Release the store."""
        await self._task.close()
