"""Sends messages to an agent, and reads what is committed in response."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.producing import open_producer
from shieldx.engine.kafka.committed_range import start_at_end
from shieldx.engine.tasks.codec import CORRELATION_ID, DECODE_ERRORS, SCHEMA, encode
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import ShieldXError
from shieldx.messages import Coordinates, DeadLetter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.tasks.log import Record

LEAST_POLL_MS = 1
"""With 0, aiokafka does not wait at all."""


class StartAgent(ShieldXError):
    """No answer came in time; what was sent stays in its topic until the agent that answers reads it.

    Start the agent, or wait longer with `--timeout-s`. Sending the same command again is safe.
    """


@asynccontextmanager
async def open_asking(platform: Platform, tenant_id: str, answers: Sequence[str]) -> AsyncIterator[Asking]:
    """Open a connection that sees everything committed to the topics `answers` for a tenant's partition from now on.

    Raises:
        FixConfiguration: a topic does not exist.
        KafkaError: see `named_kafka_errors`.
    """
    homes = {topic: home_partition(tenant_id, await partitions_of(platform, topic)) for topic in answers}
    async with committed_consumer(platform) as consumer, open_producer(platform) as producer:
        await start_at_end(consumer, [TopicPartition(topic, home) for topic, home in homes.items()])
        yield Asking(platform, tenant_id, producer, consumer)


class Asking:
    """Sends messages of one tenant, and reads the responses to it and to others of its partition."""

    def __init__(
        self, platform: Platform, tenant_id: str, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer
    ) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._producer = producer
        self._consumer = consumer
        self._homes: dict[str, int] = {}

    async def send(self, topic: str, message: msgspec.Struct, *, schema: str, correlation_id: bytes) -> Coordinates:
        """Send a message and return its coordinates. `schema` is a name in the topic's manifest."""
        if topic not in self._homes:
            self._homes[topic] = home_partition(self._tenant_id, await partitions_of(self._platform, topic))
        home = self._homes[topic]
        headers = [(SCHEMA, schema.encode()), (CORRELATION_ID, correlation_id)]
        at = await self._producer.send_and_wait(
            topic, encode(message), key=self._tenant_id.encode(), partition=home, headers=headers
        )
        return Coordinates(topic, home, at.offset)

    async def records(self, timeout_s: float) -> AsyncIterator[Any]:
        """Yield what is committed to the response topics, in order per topic, without end.

        Raises:
            StartAgent: nothing has come for `timeout_s`.
        """
        while True:
            fetched = await self._consumer.getmany(timeout_ms=max(LEAST_POLL_MS, int(timeout_s * 1000)))
            if not fetched:
                raise StartAgent(self._silence(timeout_s))
            for records in fetched.values():
                for record in records:
                    yield record

    def _silence(self, timeout_s: float) -> str:
        topics = {tp.topic for tp in self._consumer.assignment()}
        writers = [agent.name for agent in self._platform.agents.values() if not topics.isdisjoint(agent.writes)]
        return (
            f"nothing arrived in {', '.join(sorted(topics))} within {timeout_s:g} s: agent {' or '.join(writers)} may "
            "not be running (`shieldx status` says). What was sent is executed once it runs"
        )


def letter_about(record: Record, sent: Collection[Coordinates]) -> DeadLetter | None:
    """The dead letter in a record, if it concerns one of the sent records."""
    if record.value is None:  # marks a dead letter that was replayed
        return None
    try:
        letter = msgspec.json.decode(record.value, type=DeadLetter)
    except DECODE_ERRORS:  # another program's, which `shieldx dead-letters list` names
        return None
    return letter if letter.source in sent else None
