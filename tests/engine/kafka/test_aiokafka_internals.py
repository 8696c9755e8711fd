"""Every private name of aiokafka's that is used exists, and does what it is used for."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CommitFailedError
from aiokafka.producer import sender
from aiokafka.producer.message_accumulator import MessageBatch
from aiokafka.producer.sender import AddPartitionsToTxnHandler
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnResponse_v0

from shieldx.engine.kafka import aiokafka_internals, kafka_log
from shieldx.engine.kafka.aiokafka_internals import (
    FetchPosition,
    GroupConsumer,
    ask_broker,
    drop,
    last_batch,
    retrieve_failures,
    set_first_partition_backoff,
)
from shieldx.engine.kafka.assignor import CopartitionAssignor
from shieldx.engine.kafka.foreign_names import InstallSupportedVersion
from shieldx.engine.runtime.worker import Worker
from tests.kafka_proxy import kafka_proxy
from tests.private_names import overrides_without_mark, used_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOWHERE = "127.0.0.1:1"
CONCURRENT_TRANSACTIONS = 51
OUR_OWN = {"_made_coordinator", "_raise_error_of"}


def producer_of_transactions(bootstrap: str = NOWHERE) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=uuid4().hex)


def consumer() -> AIOKafkaConsumer:
    return AIOKafkaConsumer(bootstrap_servers=NOWHERE, group_id="g")


def batch() -> MessageBatch:
    return MessageBatch(TopicPartition("t", 0), producer_of_transactions().create_batch(), 1, 0)


OWNERS: dict[str, Callable[[], Any]] = {
    "_batches": lambda: producer_of_transactions()._message_accumulator,  # noqa: SLF001 - what this test is about
    "_client": consumer,
    "_coordinator": consumer,
    "_drain_waiter": batch,
    "_message_accumulator": producer_of_transactions,
    "_send_req": lambda: GroupCoordinator,
    "_send_request": lambda: AIOKafkaAdminClient,
    "_sender": producer_of_transactions,
    "_subscription": consumer,
    "_transaction_waiter": lambda: producer_of_transactions()._txn_manager,  # noqa: SLF001 - what this test is about
    "_txn_manager": producer_of_transactions,
}


@pytest.mark.parametrize("name", OWNERS)
async def test_aiokafka_has_the_name(name: str) -> None:
    assert hasattr(OWNERS[name](), name)


def test_no_other_name_is_used() -> None:
    assert used_in(aiokafka_internals) - OUR_OWN == OWNERS.keys()


@pytest.mark.parametrize(
    "kind",
    [GroupConsumer, aiokafka_internals._CheckedCoordinator, CopartitionAssignor, Worker],  # noqa: SLF001 - not public
)
def test_what_overrides_is_marked(kind: type) -> None:
    assert overrides_without_mark(kind) == set()


@pytest.fixture
def backoff() -> Iterator[Callable[[], float]]:
    """How long aiokafka's sender waits when a transaction meets the markers of the one before."""

    def waited() -> float:
        markers = AddPartitionsToTxnResponse_v0(0, [("t", [(0, CONCURRENT_TRANSACTIONS)])])
        handler = AddPartitionsToTxnHandler(producer_of_transactions()._sender, [])  # noqa: SLF001 - as aiokafka makes it
        return float(handler.handle_response(markers))

    before = sender.BACKOFF_OVERRIDE
    yield waited
    sender.BACKOFF_OVERRIDE = before


async def test_a_transactions_first_partitions_are_tried_again_after_the_time_set(backoff: Callable[[], float]) -> None:
    assert backoff() == kafka_log.RETRY_BACKOFF_MS / 1000, "as the log sets it when it is imported"
    set_first_partition_backoff(0.5)
    assert backoff() == 0.5


async def test_a_consumer_whose_coordinator_cannot_be_checked_does_not_start(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if aiokafka kept its coordinator under another name."""

    async def start(made: Any) -> None:
        made._fetcher = object.__new__(Fetcher)  # noqa: SLF001 - as aiokafka makes it

    monkeypatch.setattr(AIOKafkaConsumer, "start", start)
    monkeypatch.setattr(AIOKafkaConsumer, "stop", lambda _: asyncio.sleep(0))
    with pytest.raises(InstallSupportedVersion, match="GroupCoordinator"):
        await GroupConsumer(bootstrap_servers=kafka, group_id="g").start()


async def new_topic(bootstrap: str, name: str | None = None) -> str:
    name = name or f"internals-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1)])
    await admin.close()
    return name


@pytest.mark.integration
async def test_the_batch_just_given_is_found_and_its_failure_looked_at(
    kafka: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = await new_topic(kafka)
    async with kafka_proxy(kafka) as proxy:
        producer = producer_of_transactions(proxy.bootstrap)
        await producer.start()
        await producer.begin_transaction()
        builder = producer.create_batch()
        builder.append(timestamp=None, key=None, value=b"1")
        builder.close()
        await producer.client.fetch_all_metadata()
        delivery = await producer.send_batch(builder, name, partition=0)
        found = last_batch(producer, name, 0)
        assert found.record_count == 1
        await proxy.stop()
        async with asyncio.timeout(5):
            await drop(producer)
        found.failure(CommitFailedError())
        retrieve_failures(producer, [found])
        with pytest.raises(CommitFailedError):
            await delivery
    del found, delivery, producer
    gc.collect()
    assert "never retrieved" not in caplog.text


@pytest.mark.integration
async def test_one_broker_is_asked(kafka: str) -> None:
    name = await new_topic(kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (broker,) = (await admin.describe_cluster())["brokers"]
        response = await ask_broker(admin, broker["node_id"], MetadataRequest([name]))
        assert response.to_object()["topics"][0]["topic"] == name
    finally:
        await admin.close()


@pytest.mark.integration
async def test_a_member_tells_how_far_it_has_fetched_and_what_keeps_it_out(kafka: str) -> None:
    name = await new_topic(kafka)
    tp = TopicPartition(name, 0)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for _ in range(3):
            await producer.send_and_wait(name, b"", partition=0)
    options = {"bootstrap_servers": kafka, "group_id": name, "enable_auto_commit": False}
    async with GroupConsumer(**options, auto_offset_reset="earliest") as member:
        assert member.fetch_position(tp) is None
        member.subscribe([name])
        async with asyncio.timeout(20):
            assert (await member.getone()).offset == 0
        assert member.fetch_position(tp) == FetchPosition(1, 3, 3)
        assert member.fetch_position(TopicPartition(name, 1)) is None
        member.check_group()
        member._coordinator._pending_exception = CommitFailedError()  # noqa: SLF001 - as when an ACL is missing
        with pytest.raises(CommitFailedError):
            member.check_group()
