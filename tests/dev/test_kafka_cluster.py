"""Three brokers: what one of them had is not lost with it, and the others go on."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from shieldx.dev.broker import KafkaBroker
from shieldx.dev.broker_process import BrokerEnded
from shieldx.dev.kafka_cluster import KafkaCluster
from shieldx.errors import FixConfiguration
from tests.dev.kafka_round_trip import read_all
from tests.polling import EVERY_S, until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

AFTER_THE_KILL = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(folder: Path, cache: Path, java: Path | None, said: list[str]) -> AsyncIterator[KafkaCluster]:
    cluster = KafkaCluster(folder, brokers=3, cache=cache, java=java, progress=said.append)
    await cluster.start()
    yield cluster
    await cluster.kill()


@asynccontextmanager
async def admin_of(cluster: KafkaCluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def partition(cluster: KafkaCluster, topic: str) -> dict[str, Any]:
    async with admin_of(cluster) as admin:
        (described,) = await admin.describe_topics([topic])
    partitions: list[dict[str, Any]] = described["partitions"]
    return partitions[0] if partitions else {"leader": -1, "isr": []}  # that broker has not heard of it yet


async def answers_yes(question: Callable[[], Awaitable[bool]], *, timeout_s: float = 30.0) -> None:
    """Ask the brokers until they say yes; TimeoutError when they do not in time."""
    async with asyncio.timeout(timeout_s):
        while not await question():  # noqa: ASYNC110 - brokers set no asyncio.Event
            await asyncio.sleep(EVERY_S)


async def make_topic(cluster: KafkaCluster, topic: str) -> KafkaBroker:
    """Make a topic of one partition on all brokers, and return the broker that leads it."""
    async with admin_of(cluster) as admin:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=3)])
    found: dict[str, Any] = {}

    async def is_whole() -> bool:
        found.update(await partition(cluster, topic))
        return found["leader"] > 0 and len(found["isr"]) == 3

    await answers_yes(is_whole)
    leader: int = found["leader"]
    return cluster.brokers[leader - 1]


async def test_writes_continue_after_the_leader_is_killed_and_it_catches_up(cluster: KafkaCluster) -> None:
    leader = await make_topic(cluster, "t")
    written: list[bytes] = []

    async def write() -> None:
        for number in count():
            await producer.send_and_wait("t", b"%d" % number, partition=0)
            written.append(b"%d" % number)

    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", enable_idempotence=True) as producer:
        writing = asyncio.create_task(write())
        await until(lambda: len(written) >= AFTER_THE_KILL)
        await leader.kill()
        acknowledged = len(written)
        await until(lambda: writing.done() or len(written) >= acknowledged + AFTER_THE_KILL)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    now = await partition(cluster, "t")
    assert now["leader"] != leader.ordinal.number
    assert len(now["isr"]) == 2
    values = await read_all(cluster.bootstrap, "t")
    assert values[: len(written)] == written
    await leader.start()
    await answers_yes(lambda: in_sync(cluster, "t"))


async def in_sync(cluster: KafkaCluster, topic: str) -> bool:
    return len((await partition(cluster, topic))["isr"]) == 3


async def test_a_frozen_leader_is_replaced_and_comes_back(cluster: KafkaCluster) -> None:
    leader = await make_topic(cluster, "freeze")
    others = [broker.bootstrap for broker in cluster.brokers if broker is not leader]
    await leader.freeze()
    try:
        async with AIOKafkaProducer(bootstrap_servers=others, acks="all", request_timeout_ms=2000) as producer:
            await answers_yes(lambda: is_taken(producer, "freeze"))
    finally:
        await leader.thaw()
    # Until it has caught up, the thawed broker may describe the topic as it was before: led by itself, in sync.
    await answers_yes(lambda: is_in_sync_with_another(cluster, "freeze", leader))
    assert set(await read_all(cluster.bootstrap, "freeze")) == {b"x"}


async def is_in_sync_with_another(cluster: KafkaCluster, topic: str, former: KafkaBroker) -> bool:
    now = await partition(cluster, topic)
    return now["leader"] != former.ordinal.number and len(now["isr"]) == 3


async def is_taken(producer: AIOKafkaProducer, topic: str) -> bool:
    """Write a record; False while it is still sent to a broker that does not answer."""
    try:
        await producer.send_and_wait(topic, b"x", partition=0)
    except KafkaError:
        return False
    return True


async def test_internal_topics_survive_a_broker_failure(cluster: KafkaCluster) -> None:
    await make_topic(cluster, "input")
    transactional = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id="any")
    async with transactional as producer, producer.transaction():
        await producer.send_and_wait("input", b"x", partition=0)
        await producer.send_offsets_to_transaction({TopicPartition("input", 0): 1}, "group")
    own = ["__transaction_state", "__consumer_offsets"]
    async with admin_of(cluster) as admin:
        described = await admin.describe_topics(own)
        responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in own])
    assert {len(each["replicas"]) for topic in described for each in topic["partitions"]} == {3}
    entries = [entry for response in responses for resource in response.resources for entry in resource[4]]
    assert [entry[1] for entry in entries if entry[0] == "min.insync.replicas"] == ["2", "2"]


async def test_a_broker_whose_controller_port_was_taken_joins_on_another(cluster: KafkaCluster) -> None:
    broker = cluster.brokers[1]
    await make_topic(cluster, "moved")
    await broker.stop()
    plan = cluster.plan
    with socket.create_server(("127.0.0.1", plan.members[1].ports.controller)):
        await broker.start()
    assert cluster.plan.members[1].ports.controller != plan.members[1].ports.controller
    await answers_yes(lambda: in_sync(cluster, "moved"))


async def test_a_broker_that_exits_is_restarted_and_reported(cluster: KafkaCluster, said: list[str]) -> None:
    watching = asyncio.create_task(cluster.watch())
    await asyncio.sleep(0)
    pid = cluster.brokers[2].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: watching.done() or "broker 3 of 3 is running again" in said)
    assert not watching.done()
    watching.cancel()
    assert any(text.startswith("broker 3 of 3: the broker exited with status -9; its log ") for text in said)
    assert cluster.brokers[2].pid not in (None, pid)


async def test_another_number_of_brokers_is_refused(cluster: KafkaCluster, folder: Path, cache: Path) -> None:
    assert len(cluster.brokers) == 3
    with pytest.raises(FixConfiguration, match=r"has 3 brokers, not 1"):
        await KafkaCluster(folder, brokers=1, cache=cache).start()


async def test_a_restart_keeps_data_and_addresses(cluster: KafkaCluster) -> None:
    await make_topic(cluster, "restart")
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all") as producer:
        await producer.send_and_wait("restart", b"before", partition=0)
    address = cluster.bootstrap
    await cluster.stop()
    assert [broker.pid for broker in cluster.brokers] == [None, None, None]
    await cluster.start()
    assert cluster.bootstrap == address
    assert await read_all(address, "restart") == [b"before"]


async def test_the_only_broker_is_not_started_again(tmp_path: Path, cache: Path, java: Path | None) -> None:
    cluster = KafkaCluster(tmp_path, cache=cache, java=java)
    await cluster.start()
    (broker,) = cluster.brokers
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)
    with pytest.raises(BrokerEnded, match="exited with status -9"):
        await cluster.watch()
    await cluster.kill()
