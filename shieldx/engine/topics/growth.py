"""Gives every topic more partitions, and moves tenants to their new home partitions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.admin import NewPartitions
from aiokafka.errors import for_code

from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.aiokafka_internals import describe_group
from shieldx.engine.kafka.clients import new_admin, started
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partition_split import PartitionSplit
from shieldx.engine.topics.admin import TopicAdmin
from shieldx.engine.topics.partition_count import counts_written
from shieldx.errors import FixConfiguration, ShieldXError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Topic


AT_ONCE = 8
"""How many partitions are split at the same time: each waits mostly for the brokers."""


class SplitDone(msgspec.Struct, frozen=True):
    """One partition of one agent, split. `rows` were copied by this run, not by one before it."""

    agent: str
    partition: int
    rows: int


class Growth:
    """Grows a platform in steps, each of which may be repeated: alter the topics, then split every partition.

    Up to the alteration nothing is changed. From then on no worker starts before every partition is split, and there
    is no way back, since Kafka does not remove partitions.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        agents: Collection[Agent],
        topics: Mapping[str, Topic],
        *,
        application: str,
        transaction_timeout_ms: int = 10_000,
    ) -> None:
        self._connection = dict(connection)
        self._agents = agents
        self._topics = topics
        self._application = application
        self._transaction_timeout_ms = transaction_timeout_ms
        self._admin = TopicAdmin(connection)

    async def run(self, partitions: int, progress: Callable[[SplitDone], None]) -> int:
        """Grow to a number of partitions, or finish doing so. Returns how many there were before.

        Raises:
            FixConfiguration: it is not a multiple of the present number, a worker is running, or topics are not as
                they should be.
            LeaveTask: a worker has started meanwhile.
            RestoreTask: the brokers do not respond; run it again.
        """
        actual = {name: topic.partitions for name, topic in (await self._admin.describe(self._topics)).items()}
        missing = sorted(set(self._topics) - set(actual))
        if missing:
            raise FixConfiguration(f"topic {missing[0]!r} does not exist; run `shieldx topics create`")
        before = await self._before(actual, partitions)
        await self._refuse_members()
        if before != partitions and before in actual.values():
            await self._refuse_unread(before)
        await self._alter([name for name, count in actual.items() if count != partitions], partitions)
        if before != partitions:
            for agent in self._agents:
                if isinstance(agent, TransactionalAgent):
                    await self._split(agent, before, partitions, progress)
        return before

    async def _before(self, actual: Mapping[str, int], partitions: int) -> int:
        """The number of partitions that the data was written with."""
        written = await counts_written(self._connection, self._agents, actual)
        counts = set[int]().union(*written.values()) or set(actual.values())
        before = min(counts)
        if partitions % before or not counts | set(actual.values()) <= {before, partitions}:
            several = ", ".join(map(str, sorted(counts | set(actual.values()))))
            raise FixConfiguration(
                f"the data was written with {before} partitions, and the topics have {several}: it can grow to a "
                f"multiple only, for example {2 * before}, so that the tenants of one partition move to new ones"
            )
        return before

    async def _refuse_members(self) -> None:
        """Refuse to grow while a worker is running."""
        with translated(self._connection, "the consumer groups cannot be read", FixConfiguration):
            async with started(new_admin(self._connection)) as admin:
                for agent in self._agents:
                    if (await describe_group(admin, f"{self._application}.{agent.name}")).members:
                        raise FixConfiguration(
                            f"a worker of agent {agent.name} is running; stop the workers of every agent first. "
                            "One that was killed counts until SHIELDX_SESSION_TIMEOUT_MS has passed"
                        )

    async def unread(self, partitions: int) -> list[TopicPartition]:
        """The first partitions of topics that agents write, with records that the agents that read them have not.

        Raises:
            FixConfiguration: an ACL is missing, or a record is not a position.
            RestoreTask: the brokers do not respond.
        """
        found: list[TopicPartition] = []
        for agent in self._agents:
            if not isinstance(agent, TransactionalAgent):
                continue
            topics = [topic for topic in agent.reads if not agent.is_owner_of(topic)]
            inputs = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
            async with self._log_of(agent) as log:
                positions = await log.positions(inputs)
                for tp in inputs:
                    starts = {tp: positions[tp].next_offset} if tp in positions else None
                    if [len(records) async for records in log.read_to_end([tp], starts)]:
                        found.append(tp)
        return found

    async def _refuse_unread(self, partitions: int) -> None:
        """Refuse to grow while an agent has not read what another one wrote: its tenants would have moved."""
        unread = await self.unread(partitions)
        if unread:
            topic, partition = unread[0]
            raise FixConfiguration(
                f"{topic}/{partition} has records that no agent has read yet: start the workers of the agents that "
                f"read it with SHIELDX_PARTITIONS={partitions}, until `shieldx status` shows no lag there, then grow"
            )

    async def _alter(self, names: Collection[str], partitions: int) -> None:
        if not names:
            return
        wanted = {name: NewPartitions(total_count=partitions) for name in names}
        with translated(self._connection, "topics cannot be altered", FixConfiguration):
            async with started(new_admin(self._connection)) as admin:
                response = await admin.create_partitions(wanted)
        for name, code, message in response.topic_errors:
            if code:
                raise FixConfiguration(
                    f"the cluster does not give topic {name!r} {partitions} partitions: {message or for_code(code)}"
                )
        await self._admin.wait_for_leaders(names)

    async def _split(
        self, agent: TransactionalAgent, before: int, after: int, progress: Callable[[SplitDone], None]
    ) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def split(partition: int, log: KafkaLog) -> None:
            async with turns:
                splitting = PartitionSplit(
                    agent, partition, log, application=self._application, before=before, after=after
                )
                await splitting.run()
            progress(SplitDone(agent.name, partition, splitting.rows))

        try:
            async with self._log_of(agent) as log, asyncio.TaskGroup() as tasks:
                for partition in range(before):
                    tasks.create_task(split(partition, log))
        except* ShieldXError as group:
            raise group.exceptions[0] from None

    @asynccontextmanager
    async def _log_of(self, agent: TransactionalAgent) -> AsyncIterator[KafkaLog]:
        log = KafkaLog(
            self._connection,
            agent.positions,
            application=self._application,
            transaction_timeout_ms=self._transaction_timeout_ms,
        )
        await log.start()
        try:
            yield log
        finally:
            await log.stop()
