"""Which cluster this is, and the first and last offsets of its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import RestoreTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Bounds(NamedTuple):
    """A partition's first offset that still exists, and the one behind its last committed record."""

    beginning: int
    end: int


class LogBounds:
    """Asks the brokers, over one connection that all tasks of a worker share."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._cluster_id: str | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            RestoreTask: no broker answers.
        """
        # Committed: who waited for the end of an open transaction would wait for as long as it is open.
        self._consumer = AIOKafkaConsumer(
            **self._connection, enable_auto_commit=False, isolation_level="read_committed"
        )
        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            self._cluster_id = (await admin.describe_cluster())["cluster_id"]
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise RestoreTask(f"no broker answers: {error!r}") from error
        finally:
            await admin.close()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    @property
    def cluster_id(self) -> str:
        """The name that the cluster was given when it was made."""
        if self._cluster_id is None:
            raise RestoreTask("the cluster's name is not known yet")
        return self._cluster_id

    async def of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """The bounds of some partitions.

        Raises:
            RestoreTask: the brokers do not say.
        """
        asked = [KafkaTopicPartition(*tp) for tp in partitions]
        try:
            first = await self._consumer.beginning_offsets(asked)
            end = await self._consumer.end_offsets(asked)
        except (KafkaError, OSError) as error:
            raise RestoreTask(f"the bounds of {asked[0].topic}/{asked[0].partition} are unknown: {error!r}") from error
        return {TopicPartition(*tp): Bounds(first[tp], end[tp]) for tp in asked}
