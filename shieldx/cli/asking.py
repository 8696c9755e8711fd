"""Sends messages to an agent, and reads what is committed in response."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.producing import open_producer
from shieldx.client import MakeItSmaller
from shieldx.engine.kafka.access import refusal
from shieldx.engine.tasks.codec import CORRELATION_ID, SCHEMA, encode
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import ShieldXError
from shieldx.messages import Coordinates, DeadLetter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

    from shieldx.bootstrap import Platform

LEAST_POLL_MS = 1
"""With 0, aiokafka does not wait at all."""


class StartShadowAgent(ShieldXError):
    """No response arrived in time. The message stays in its topic until the agent `shadow` reads it."""


@asynccontextmanager
async def open_asking(platform: Platform, tenant_id: str, answers: Sequence[str]) -> AsyncIterator[Asking]:
    """Open a connection that sees everything committed to the topics `answers` for a tenant's partition from now on.

    Raises:
        FixConfiguration: A topic does not exist, or an ACL is missing.
        MakeItSmaller: A message is larger than the broker accepts; it was not sent.
    """
    homes = {topic: home_partition(tenant_id, await partitions_of(platform, topic)) for topic in answers}
    with named_refusals(platform):
        async with committed_consumer(platform) as consumer, open_producer(platform) as producer:
            await seek_to_end(consumer, [TopicPartition(topic, home) for topic, home in homes.items()])
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
            StartShadowAgent: Nothing arrived for `timeout_s`.
        """
        while True:
            fetched = await self._consumer.getmany(timeout_ms=max(LEAST_POLL_MS, int(timeout_s * 1000)))
            if not fetched:
                topics = ", ".join(sorted({tp.topic for tp in self._consumer.assignment()}))
                raise StartShadowAgent(
                    f"no record arrived in {topics} within {timeout_s:g} s: the agent `shadow` may not be running; "
                    "see `shieldx status`. What was sent is not lost: the agent processes it once it runs"
                )
            for records in fetched.values():
                for record in records:
                    yield record


async def seek_to_end(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Position a consumer so that it sees what is committed from now on."""
    consumer.assign(list(partitions))
    for tp, end in (await consumer.end_offsets(list(partitions))).items():
        consumer.seek(tp, end)


@contextmanager
def named_refusals(platform: Platform) -> Iterator[None]:
    """Convert Kafka errors that would recur into errors that say what to change.

    Raises:
        FixConfiguration: An ACL is missing.
        MakeItSmaller: A record is larger than the broker accepts; it was not sent.
    """
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise MakeItSmaller(f"the record was not sent: {error}") from error
    except KafkaError as error:
        if (refused := refusal(error, platform.connection)) is not None:
            raise refused from error
        raise


def letter_about(record: ConsumerRecord, sent: Collection[Coordinates]) -> DeadLetter | None:
    """The dead letter in a record, if it concerns one of the sent records."""
    if record.value is None:  # marks a dead letter that was replayed
        return None
    letter = msgspec.json.decode(record.value, type=DeadLetter)
    return letter if letter.source in sent else None
