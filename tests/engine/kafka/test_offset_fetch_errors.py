"""A coordinator that answers an OffsetFetch request with an error, and nothing else, has not said that there is none.

The first test fails once aiokafka looks at that error: then look whether shieldx/engine/kafka/aiokafka_internals.py may
become smaller.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, NotCoordinatorForGroupError
from aiokafka.structs import OffsetAndMetadata

from shieldx.engine.kafka.aiokafka_internals import GroupConsumer, group_offsets
from tests.kafka_proxy import FIND_COORDINATOR, NOT_COORDINATOR, KafkaProxy, kafka_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

OLD, NEW = 1500, 40
COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, GROUP_AUTHORIZATION_FAILED = 14, 15, 30
REFUSED_S = 1.5


@pytest_asyncio.fixture
async def proxy(kafka: str) -> AsyncIterator[KafkaProxy]:
    async with kafka_proxy(kafka) as found:
        yield found


@pytest_asyncio.fixture
async def topic(kafka: str) -> str:
    """A topic whose old records the group of the same name has read, and whose new ones it has not."""
    name = f"offsets-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        sent = [await producer.send(name, b"%d" % number, partition=0) for number in range(OLD + NEW)]
        await asyncio.gather(*sent)
    tp = TopicPartition(name, 0)
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=name, enable_auto_commit=False) as consumer:
        consumer.assign([tp])
        await consumer.commit({tp: OffsetAndMetadata(OLD, "")})
    return name


async def read(consumer_class: type[AIOKafkaConsumer], proxy: KafkaProxy, topic: str) -> list[ConsumerRecord]:
    """What a member of the group is given, up to the last record."""
    records: list[ConsumerRecord] = []
    consumer = consumer_class(
        bootstrap_servers=proxy.bootstrap,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with asyncio.timeout(30), consumer:
        consumer.subscribe([topic])
        while not records or records[-1].offset < OLD + NEW - 1:
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records += fetched
    return records


async def test_aiokafka_takes_the_error_for_a_group_that_has_committed_nothing(proxy: KafkaProxy, topic: str) -> None:
    proxy.refuse_offsets(for_s=REFUSED_S)
    assert len(await read(AIOKafkaConsumer, proxy, topic)) == OLD + NEW


@pytest.mark.parametrize("error", [NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS])
async def test_a_member_asks_again_and_reads_no_old_record(proxy: KafkaProxy, topic: str, error: int) -> None:
    proxy.refuse_offsets(error, for_s=REFUSED_S)
    assert [record.offset for record in await read(GroupConsumer, proxy, topic)] == [*range(OLD, OLD + NEW)]
    assert proxy.refused > 2
    moved = error != COORDINATOR_LOAD_IN_PROGRESS
    assert (proxy.requests[FIND_COORDINATOR] > 1) == moved, "a coordinator that may have moved is looked up again"


async def test_a_member_that_asks_by_itself_is_told_when_the_coordinator_is_back(proxy: KafkaProxy, topic: str) -> None:
    proxy.refuse_offsets(for_s=REFUSED_S)
    tp = TopicPartition(topic, 0)
    async with GroupConsumer(bootstrap_servers=proxy.bootstrap, group_id=topic, enable_auto_commit=False) as consumer:
        assert await consumer.committed(tp) == OLD
    assert proxy.refused > 2


async def test_a_member_that_may_not_read_the_group_is_told_so(proxy: KafkaProxy, topic: str) -> None:
    proxy.refuse_offsets(GROUP_AUTHORIZATION_FAILED, for_s=10)
    with pytest.raises(GroupAuthorizationFailedError, match=topic):
        await read(GroupConsumer, proxy, topic)


async def test_the_offsets_of_a_group_are_told_when_its_coordinator_is_back(proxy: KafkaProxy, topic: str) -> None:
    tp, beyond = TopicPartition(topic, 0), TopicPartition(topic, 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=proxy.bootstrap)
    await admin.start()
    try:
        proxy.refuse_offsets(for_s=REFUSED_S)
        assert await admin.list_consumer_group_offsets(topic, partitions=[tp]) == {}, "as aiokafka has it"
        assert await group_offsets(admin, topic, [tp, beyond]) == {tp: OffsetAndMetadata(OLD, "")}
        proxy.refuse_offsets(for_s=60)
        with pytest.raises(NotCoordinatorForGroupError):
            await group_offsets(admin, topic, [tp])
    finally:
        await admin.close()
