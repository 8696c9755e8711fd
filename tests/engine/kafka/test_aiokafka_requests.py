"""A real broker understands the requests that aiokafka lacks, and its answers are read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka.errors import InvalidTopicError

from shieldx.engine.kafka.aiokafka_internals import ask_any_broker
from shieldx.engine.kafka.aiokafka_requests import open_producers, topic_ids, transactional_ids
from shieldx.engine.kafka.clients import new_admin, new_consumer, new_producer, started
from shieldx.engine.tasks.log import TopicPartition
from tests.engine.kafka.test_aiokafka_internals import new_topic
from tests.polling import until_answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def send(kafka: str) -> AsyncIterator[Any]:
    async with started(new_consumer({"bootstrap_servers": kafka})) as consumer:
        yield partial(ask_any_broker, consumer)


async def test_a_topic_that_is_created_again_has_another_id(kafka: str, send: Any) -> None:
    topic = await new_topic(kafka)
    (before,) = (await topic_ids(send, [topic])).values()
    assert len(before) == 22, "as Kafka's tools print it"
    async with started(new_admin({"bootstrap_servers": kafka})) as admin:
        await admin.delete_topics([topic])
    await until_answered(lambda: topic_ids(send, [topic]), {})
    await new_topic(kafka, topic)
    (after,) = (await topic_ids(send, [topic])).values()
    assert before != after


async def test_a_missing_topic_has_no_id_and_an_impossible_one_is_an_error(send: Any) -> None:
    assert await topic_ids(send, [f"missing-{uuid4().hex}"]) == {}
    with pytest.raises(InvalidTopicError):
        await topic_ids(send, ["no topic has spaces"])


async def test_the_producer_of_an_open_transaction_is_found(kafka: str, send: Any) -> None:
    topic, foreign = await new_topic(kafka), f"foreign-{uuid4().hex[:8]}"
    place = TopicPartition(topic, 0)
    await until_answered(lambda: open_producers(send, [place]), {place: []})
    connection = {"bootstrap_servers": kafka}
    async with started(new_producer(connection, transactional_id=foreign)) as producer:
        await producer.begin_transaction()
        sent = await producer.send_and_wait(topic, b"value", partition=0)
        ((found,),) = (await open_producers(send, [place])).values()
        assert found.first_offset == sent.offset
        assert found.last_record_at_ms == sent.timestamp
        assert await transactional_ids(send, [found.producer_id]) == {found.producer_id: foreign}
        await producer.abort_transaction()
        await until_answered(lambda: open_producers(send, [place]), {place: []})
    assert await open_producers(send, [TopicPartition(f"missing-{uuid4().hex}", 0)]) == {}
