"""Positions as records: only the last one of this application counts; other records are reported."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.kafka.positions import FIRST_STEP
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.position import VERSION, Position
from shieldx.engine.topics.admin import TopicAdmin
from shieldx.errors import FixConfiguration
from tests.engine.next_offsets import next_offsets

pytestmark = pytest.mark.integration
TOPIC = Topic(about="Anything.", key="any", cleanup="delete")


class Place:
    """An input, another one, and the topic of positions, which no other test knows."""

    def __init__(self, bootstrap: str) -> None:
        self.connection: dict[str, Any] = {"bootstrap_servers": bootstrap}
        name = f"positions-{uuid4().hex[:8]}"
        self.input, self.other = TopicPartition(f"{name}-in", 0), TopicPartition(f"{name}-other", 0)
        self.positions = f"{name}-positions"

    def log(self, application: str = "one") -> KafkaLog:
        return KafkaLog(self.connection, self.positions, application=application)

    async def next_offsets(self, *inputs: TopicPartition, application: str = "one") -> list[int]:
        """Where a task of that application would begin with each input."""
        log = self.log(application)
        await log.start()
        try:
            found = await next_offsets(log, inputs)
        finally:
            await log.stop()
        return [found[tp] for tp in inputs]

    async def write(self, value: bytes, *, key: bytes | None = None) -> None:
        """As an operator would."""
        async with AIOKafkaProducer(**self.connection) as producer:
            await producer.send_and_wait(self.positions, value, key=key or self.input.topic.encode(), partition=0)


@pytest.fixture
async def place(kafka: str) -> Place:
    place = Place(kafka)
    names = (place.input.topic, place.other.topic, place.positions)
    await TopicAdmin(place.connection).create(dict.fromkeys(names, TOPIC), partitions=1, replication=1)
    return place


def records_of(offsets: dict[TopicPartition, int], application: str) -> dict[TopicPartition, Position]:
    return {
        tp: Position(version=VERSION, next_offset=offset, application=application) for tp, offset in offsets.items()
    }


async def commit(place: Place, *positions: dict[TopicPartition, int], application: str = "one") -> None:
    """Each in a transaction, and wait until the last is whole."""
    transactions = await place.log(application).fence(place.positions)
    for each in positions:
        await transactions.commit({}, records_of(each, application))
    await transactions.close()
    await (await place.log(application).fence(place.positions)).close()


async def test_the_last_position_counts_however_many_came_before(place: Place) -> None:
    await commit(place, {place.other: 3}, *({place.input: number} for number in range(2 * FIRST_STEP)))
    assert await place.next_offsets(place.input, place.other) == [2 * FIRST_STEP - 1, 3]


async def test_what_was_aborted_never_counts(place: Place) -> None:
    await commit(place, {place.input: 5})
    async with AIOKafkaProducer(**place.connection, transactional_id=place.positions) as producer:
        for _ in range(2 * FIRST_STEP):
            await producer.begin_transaction()
            await producer.send_and_wait(place.positions, b"9", key=place.input.topic.encode(), partition=0)
            await producer.abort_transaction()
    assert await place.next_offsets(place.input) == [5]


async def test_another_application_is_refused_since_it_would_answer_everything_twice(place: Place) -> None:
    await commit(place, {place.input: 5})
    with pytest.raises(FixConfiguration, match="of application 'one', and SHIELDX_APPLICATION is 'two'"):
        await place.next_offsets(place.input, application="two")


async def test_an_operator_may_write_a_position_and_hand_it_to_another_application(place: Place) -> None:
    await commit(place, {place.input: 5})
    await place.write(b'{"version":1,"next_offset":7}')
    assert await place.next_offsets(place.input, application="two") == [7]


async def test_what_is_no_position_is_named_and_passed_over_once_a_right_one_stands_behind_it(place: Place) -> None:
    await place.write(b"nonsense", key=b"no input")
    await place.write(b"nonsense")
    with pytest.raises(FixConfiguration, match=f"{place.positions}/0/1 is not a position record"):
        await place.next_offsets(place.input)
    await place.write(b'{"version":1,"next_offset":4}')
    assert await place.next_offsets(place.input) == [4]


async def test_without_a_position_there_is_none(place: Place) -> None:
    assert await place.log("one").positions([place.input]) == {}
    await commit(place, {place.input: 0})
    assert list(await place.log("one").positions([place.input])) == [place.input]
