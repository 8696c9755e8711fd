"""The cluster's id, and the offsets that its partitions hold."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.aiokafka_internals import ask_any_broker
from shieldx.engine.kafka.aiokafka_requests import topic_ids
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, connect, new_admin, new_consumer
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import RestoreTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.kafka.aiokafka_fetcher import Consumer
    from shieldx.errors import ShieldXError


class Cluster:
    """Asks the brokers, over a connection that all tasks of a worker share.

    Errors that are not about ACLs are raised as `otherwise`.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        otherwise: type[ShieldXError] = RestoreTask,
        request_timeout_ms: int = TASK_REQUEST_TIMEOUT_MS,
    ) -> None:
        self._connection = dict(connection)
        self._request_timeout_ms = request_timeout_ms
        self._otherwise = otherwise
        self._id: str | None = None
        self._consumer: Consumer | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            RestoreTask, or `otherwise`: no broker responds.
        """
        connection, timeout_ms = self._connection, self._request_timeout_ms
        admin = await connect(new_admin(connection, request_timeout_ms=timeout_ms), connection, self._otherwise)
        try:
            with translated(connection, "the id of the cluster cannot be read", self._otherwise):
                self._id = str((await admin.describe_cluster())["cluster_id"])
        finally:
            await admin.close()
        consumer = new_consumer(connection, request_timeout_ms=timeout_ms)
        self._consumer = await connect(consumer, connection, self._otherwise)

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            await self._consumer.stop()

    @property
    def id(self) -> str:
        """The cluster's id. Offsets are valid only within one cluster.

        Raises:
            RestoreTask, or `otherwise`: `start` has not succeeded.
        """
        if self._id is None:
            raise self._otherwise("the id of the cluster is unknown: the connection was not started")
        return self._id

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetRange]:
        """The offsets that each partition holds, up to its first open transaction.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask, or `otherwise`: the brokers do not respond, or `start` has not succeeded.
        """
        if self._consumer is None:
            raise self._otherwise("the bounds of partitions are unknown: the connection was not started")
        asked = list(partitions)
        what = ", ".join(f"{topic}/{partition}" for topic, partition in asked)
        with translated(self._connection, f"the bounds of {what} cannot be read", self._otherwise):
            return await bounds_of(self._consumer, asked)

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The id of each topic that exists. A topic that is deleted and created again has another id.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask, or `otherwise`: the brokers do not respond, or `start` has not succeeded.
        """
        consumer = self._consumer
        if consumer is None:
            raise self._otherwise("the ids of topics are unknown: the connection was not started")
        with translated(self._connection, "the ids of topics cannot be read", self._otherwise):
            return await topic_ids(partial(ask_any_broker, consumer), topics)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def bounds_of(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetRange]:
    """The offsets that each partition holds, as a consumer sees them.

    They end at the first open transaction for a consumer of committed records, and after the last record otherwise.

    Raises:
        KafkaError: the brokers do not respond.
    """
    asked = [KafkaTopicPartition(*tp) for tp in partitions]
    if not asked:
        return {}
    begins, ends = await consumer.beginning_offsets(asked), await consumer.end_offsets(asked)
    return {TopicPartition(*tp): OffsetRange(begins[tp], ends[tp]) for tp in asked}
