"""Which topics a group's committed offsets belong to: their ids are committed with them.

Kafka deletes the offsets of a topic together with it. A worker that does not know of it yet may commit an offset of the
deleted topic as one of the new topic, so that records there would never be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.aiokafka_internals import group_offsets
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, connect, new_admin
from shieldx.engine.kafka.cluster import Cluster
from shieldx.errors import FixConfiguration, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FORM = "shieldx.topic-id/1 "
"""How the text with an offset begins. A text that begins otherwise is another program's, and says nothing."""


def metadata_of(topic_id: str) -> str:
    """The text to commit with an offset of a topic."""
    return _FORM + topic_id


def topic_id_in(metadata: str | None) -> str | None:
    """The topic's id in the text with an offset; None if there is none."""
    return metadata.removeprefix(_FORM) if metadata is not None and metadata.startswith(_FORM) else None


class GroupTopics:
    """The ids of an agent's inputs now, and as its group knows them."""

    def __init__(self, name: str, topics: Sequence[str], consumer_options: Mapping[str, Any]) -> None:
        """`name` is the agent's."""
        self._name = name
        self._topics = topics
        self._group = consumer_options["group_id"]
        members = ("group_id", "group_instance_id", "session_timeout_ms", "heartbeat_interval_ms")
        self._connection = {option: value for option, value in consumer_options.items() if option not in members}
        self._cluster: Cluster | None = None

    async def topic_ids(self) -> dict[str, str]:
        """The id of each input that exists.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the brokers do not respond.
        """
        if self._cluster is None:
            cluster = Cluster(self._connection)
            await cluster.start()
            self._cluster = cluster
        return await self._cluster.topic_ids(self._topics)

    async def check(self) -> dict[str, str]:
        """The id of each input, once none of them differs from what the group has committed.

        Raises:
            FixConfiguration: an input was deleted and created again, or an ACL is missing.
            RestoreTask: the brokers do not respond.
        """
        ids = await self.topic_ids()
        for topic, committed in (await self._committed()).items():
            if ids.get(topic, committed) != committed:
                raise FixConfiguration(
                    f"topic {topic} was deleted and created again: group {self._group} of agent {self._name} has "
                    f"read the one with id {committed}, and now it has id {ids[topic]}. Set the group's offsets to "
                    f"where the agent should begin, for example kafka-consumer-groups.sh --group {self._group} "
                    f"--topic {topic} --reset-offsets --to-earliest --execute"
                )
        return ids

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        if self._cluster is not None:
            await self._cluster.stop()

    async def _committed(self) -> dict[str, str]:
        """The id of each input in the group's committed offsets."""
        admin = new_admin(self._connection, request_timeout_ms=TASK_REQUEST_TIMEOUT_MS)
        await connect(admin, self._connection)
        try:
            with translated(self._connection, f"the offsets of group {self._group} cannot be read", RestoreTask):
                described = await admin.describe_topics(list(self._topics))
                partitions = [
                    KafkaTopicPartition(topic["topic"], partition["partition"])
                    for topic in described
                    for partition in topic["partitions"]
                ]
                found = await group_offsets(admin, self._group, partitions) if partitions else {}
        finally:
            await admin.close()
        ids = {tp.topic: topic_id_in(position.metadata) for tp, position in found.items()}
        return {topic: topic_id for topic, topic_id in ids.items() if topic_id is not None}
