"""Sends records to the audit agent, and waits for the outcome of each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import msgspec

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.producing import open_producer
from shieldx.cli.stdout import say
from shieldx.domains.audit import tables
from shieldx.domains.audit.entry import AuditEntry
from shieldx.engine.kafka.clients import new_consumer, started
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import start_at_end
from shieldx.engine.tasks.codec import CORRELATION_ID
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.position import decode_position
from shieldx.messages import DEAD_LETTERS, Coordinates, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.tasks.log import Header


POLL_MS = 500
POSITIONS = "audit.positions"
"""The audit agent's positions in its inputs."""


class Repeated(NamedTuple):
    """The audit agent has read the record but chained nothing, because it had already chained the same append."""


Fate = AuditEntry | DeadLetter | Repeated


class Outgoing(NamedTuple):
    """A record for the audit agent."""

    key: bytes | None
    value: bytes
    schema: Header


async def send_and_await(
    platform: Platform, topic: str, records: Mapping[int, Outgoing], timeout_s: float
) -> dict[int, Fate]:
    """The outcome of each record, at most one per partition. Records without an outcome in time are missing.

    Raises:
        FixConfiguration: a topic does not exist.
        KafkaError: see `named_kafka_errors`.
    """
    for name in (topic, tables.LOG, DEAD_LETTERS, POSITIONS):
        await partitions_of(platform, name)
    async with committed_consumer(platform) as consumer, open_producer(platform) as producer:
        watched = (tables.LOG, DEAD_LETTERS, POSITIONS)
        await start_at_end(consumer, [TopicPartition(name, number) for name in watched for number in records])
        watch = _Watch(platform, consumer)
        sent = await _send(producer, topic, records)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await watch.read(sent)
        return watch.fates


async def _send(producer: AIOKafkaProducer, topic: str, records: Mapping[int, Outgoing]) -> dict[int, Coordinates]:
    deliveries = []
    for partition, record in records.items():
        headers = [record.schema, (CORRELATION_ID, uuid4().hex.encode())]
        deliveries.append(
            await producer.send(topic, record.value, key=record.key, partition=partition, headers=headers)
        )
    return {at.partition: Coordinates(topic, at.partition, at.offset) for at in await asyncio.gather(*deliveries)}


class _Watch:
    """Reads the audit agent's output from where it ended before the records were sent."""

    def __init__(self, platform: Platform, consumer: AIOKafkaConsumer) -> None:
        self._platform = platform
        self._consumer = consumer
        self._ends: dict[int, dict[TopicPartition, int]] = {}
        """For partitions whose agent has read the record: the ends of log and dead letters at that time."""
        self.fates: dict[int, Fate] = {}

    async def read(self, sent: Mapping[int, Coordinates]) -> None:
        """Return when the outcome of every record is known."""
        passed: set[int] = set()
        while len(self.fates) < len(sent):
            for records in (await self._consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    self._take(record, sent[record.partition], passed)
            for number in passed - self._fates_or_ends():
                self._ends[number] = await _uncommitted_ends(self._platform, number)
            for number, ends in self._ends.items():
                if number not in self.fates and await self._has_read(ends):
                    self.fates[number] = Repeated()

    def _fates_or_ends(self) -> set[int]:
        return self.fates.keys() | self._ends.keys()

    async def _has_read(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all([await self._consumer.position(tp) >= end for tp, end in ends.items()])

    def _take(self, record: Any, sent: Coordinates, passed: set[int]) -> None:
        """Determine the outcome of a record, or that the agent has read it."""
        if record.value is None:  # marks a dead letter that was replayed
            return
        try:
            if record.topic == tables.LOG:
                entry = msgspec.json.decode(record.value, type=AuditEntry)
                if entry.input == f"{sent.topic}/{sent.partition}/{sent.offset}":
                    self.fates[record.partition] = entry
            elif record.topic == DEAD_LETTERS:
                letter = msgspec.json.decode(record.value, type=DeadLetter)
                if letter.source == sent:
                    self.fates[record.partition] = letter
            elif record.key == sent.topic.encode():
                place = f"{record.topic}/{record.partition}/{record.offset}"
                if decode_position(place, record.value).next_offset > sent.offset:
                    passed.add(record.partition)
        except ValueError as error:  # includes msgspec's errors
            say(f"{record.topic}/{record.partition}/{record.offset} is not a valid record of this topic: {error}")


async def _uncommitted_ends(platform: Platform, number: int) -> dict[TopicPartition, int]:
    """The ends of log and dead letters of a partition, including open transactions.

    A position may become visible a moment before the entry committed with it, since each partition learns separately
    that a transaction has ended. Beyond these ends there cannot be such an entry.
    """
    partitions = [TopicPartition(topic, number) for topic in (tables.LOG, DEAD_LETTERS)]
    async with started(new_consumer(platform.connection, isolation_level="read_uncommitted")) as consumer:
        return {tp: held.end for tp, held in (await bounds_of(consumer, partitions)).items()}
