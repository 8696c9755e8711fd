"""Sends messages to an agent, and reads what is committed in response."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from uuid import uuid4

import click
import msgspec

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.producing import open_producer
from shieldx.engine.kafka.committed_range import start_at_end
from shieldx.engine.tasks.codec import CORRELATION_ID, DECODE_ERRORS, SCHEMA, Codec, Undecodable, encode
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS, Coordinates, DeadLetter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.tasks.log import Record

Command = TypeVar("Command", bound=msgspec.Struct)
Result = TypeVar("Result", bound=msgspec.Struct)

LEAST_POLL_MS = 1
"""With 0, aiokafka does not wait at all."""


class CorrectCommand(ShieldXError):
    """The agent could not read or execute the command, and has dead-lettered it.

    Correct the command as the message says and send it again.
    """


class StartAgent(ShieldXError):
    """No answer came in time; what was sent stays in its topic until the agent that answers reads it.

    Start the agent, or wait longer with `--timeout-s`. Sending the same command again is safe.
    """


class Answers(NamedTuple, Generic[Command, Result]):
    """The answers to commands: their type, and whether one fits a command.

    Anybody may send a message of their own with the same correlation id, and an unreadable one in any tenant's name.
    """

    kind: type[Result]
    fits: Callable[[Command, Result], bool]


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


def check_commands(platform: Platform, topic: str, commands: Iterable[msgspec.Struct]) -> None:
    """Reject immediately what the agent that reads a topic could not read.

    Raises:
        click.UsageError: The message says what is wrong.
    """
    codec = Codec(platform.topics, [topic])
    try:
        for command in commands:
            codec.decode(topic, encode(command))
    except UnicodeEncodeError:
        raise click.UsageError("the options are not UTF-8") from None
    except Undecodable as error:
        raise click.UsageError(f"invalid command: {error}") from error


async def ask_all(
    asking: Asking,
    codec: Codec,
    topic: str,
    commands: Sequence[Command],
    answers: Answers[Command, Result],
    timeout_s: float,
    answered: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Result]:
    """The answers to commands, in order. `answered` gets the current and the total number.

    The connection's response topics must include that of the answers and DEAD_LETTERS.

    Raises:
        CorrectCommand: one was set aside as a dead letter.
        StartAgent: no answer has come for `timeout_s`.
    """
    sent: dict[bytes, Coordinates] = {}
    asked: dict[bytes, Command] = {}
    for command in commands:
        _, schema = codec.schema_header(type(command))
        correlation_id = uuid4().hex.encode()
        asked[correlation_id] = command
        sent[correlation_id] = await asking.send(topic, command, schema=schema.decode(), correlation_id=correlation_id)
    results: dict[bytes, Result] = {}
    answered(0, len(sent))
    async for record in asking.records(timeout_s):
        if record.topic == DEAD_LETTERS:
            letter = letter_about(record, sent.values())
            if letter is not None:
                raise CorrectCommand(f"the command was dead-lettered: {letter.reason}: {letter.detail}")
        elif (found := dict(record.headers).get(CORRELATION_ID)) in asked:
            result = msgspec.json.decode(record.value, type=answers.kind)
            if answers.fits(asked[found], result):
                results[found] = result
                answered(len(results), len(sent))
        if len(results) == len(sent):
            break
    return [results[each] for each in sent]


def letter_about(record: Record, sent: Collection[Coordinates]) -> DeadLetter | None:
    """The dead letter in a record, if it concerns one of the sent records."""
    if record.value is None:  # marks a dead letter that was replayed
        return None
    try:
        letter = msgspec.json.decode(record.value, type=DeadLetter)
    except DECODE_ERRORS:  # another program's, which `shieldx dead-letters list` names
        return None
    return letter if letter.source in sent else None
