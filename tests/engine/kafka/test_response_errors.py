"""Error codes at every level of every response that we use are looked at, by aiokafka or by us."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.types import Array, Schema

from shieldx.bootstrap.platform import Platform
from shieldx.cli.group_lag import group_status
from shieldx.engine.kafka.aiokafka_internals import ask_any_broker
from shieldx.engine.kafka.aiokafka_requests import open_producers, topic_ids, transactional_ids
from shieldx.engine.kafka.assignor import CopartitionAssignor
from shieldx.engine.kafka.clients import new_consumer, new_group_consumer, new_producer, started
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import ShieldXError
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration

Path = tuple[str, ...]

CODES = {
    "AddPartitionsToTxn": 51,  # CONCURRENT_TRANSACTIONS
    "CreateTopics": 17,  # INVALID_TOPIC_EXCEPTION
    "DescribeConfigs": 17,
    "DescribeGroups": 14,  # COORDINATOR_LOAD_IN_PROGRESS
    "DescribeProducers": 6,  # NOT_LEADER_OR_FOLLOWER
    "EndTxn": 51,
    "Fetch": 6,
    "FindCoordinator": 15,  # COORDINATOR_NOT_AVAILABLE
    "Heartbeat": 27,  # REBALANCE_IN_PROGRESS
    "InitProducerId": 14,
    "JoinGroup": 14,
    "LeaveGroup": 16,  # NOT_COORDINATOR
    "ListTransactions": 14,
    "Metadata": 17,
    "OffsetCommit": 14,
    "OffsetFetch": 16,
    "Offset": 6,
    "Produce": 6,
    "SyncGroup": 27,
}
LEFT_ALONE: dict[tuple[str, Path], str] = {
    ("DescribeProducers", ("topics", "partitions", "error_code")): "the partition is left out: another broker leads it",
    ("LeaveGroup", ("error_code",)): "the member stops anyway; the broker removes it when its session times out",
    ("Metadata", ("topics", "partitions", "error_code")): "a partition without a leader has the leader -1",
}


def error_paths(schema: Schema) -> Iterator[Path]:
    """Where a response has error codes."""
    for name, field in zip(schema.names, schema.fields, strict=True):
        if name == "error_code":
            yield (name,)
        elif isinstance(field, Array) and isinstance(field.array_of, Schema):
            for path in error_paths(field.array_of):
                yield (name, *path)


def with_error(schema: Schema, values: list[Any], path: Path, code: int) -> list[Any]:
    """The values of a response or of an entry in it, with an error; an error of all comes without entries."""
    name, *rest = path
    changed: list[Any] = []
    for field_name, field, value in zip(schema.names, schema.fields, values, strict=True):
        if field_name == name and not rest:
            changed.append(code)
        elif field_name == name:
            entries = [tuple(with_error(field.array_of, list(entry), tuple(rest), code)) for entry in value]
            changed.append(entries)
        else:
            changed.append([] if len(path) == 1 and isinstance(field, Array) else value)
    return changed


class Responses:
    """Counts the responses that clients get, and gives one of them an error."""

    def __init__(self, api: str | None = None, path: Path = ()) -> None:
        self.counts: Counter[str] = Counter()
        self.levels: set[tuple[str, Path]] = set()
        self.injected = False
        self._api = api
        self._path = path

    def pass_on(self, response: Any) -> Any:
        kind = type(response)
        api = kind.__name__.strip("_").partition("Response")[0]
        self.counts[api] += 1
        self.levels |= {(api, path) for path in error_paths(kind.SCHEMA)}
        if api != self._api or self.injected:
            return response
        values = with_error(
            kind.SCHEMA, [getattr(response, name) for name in kind.SCHEMA.names], self._path, CODES[api]
        )
        changed = kind(*values).encode()
        self.injected = changed != response.encode()
        return kind.decode(changed)


async def use_everything(bootstrap: str) -> None:
    """Do what agents and commands do with a cluster."""
    connection = {"bootstrap_servers": bootstrap}
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": bootstrap, "SHIELDX_PARTITIONS": "1"}))
    name = f"responses-{uuid4().hex[:8]}"
    place = TopicPartition(name, 0)
    await platform.topic_admin.create({name: platform.topics["credits.commands"]}, partitions=1, replication=1)
    producer = new_producer(connection, transactional_id=name, retry_backoff_ms=2)
    async with started(producer), producer.transaction():
        await producer.send_and_wait(name, b"value", partition=0)
    options = {"group_id": name, "session_timeout_ms": 6000, "heartbeat_interval_ms": 50, "retry_backoff_ms": 5}
    async with started(
        new_group_consumer(connection, CopartitionAssignor(), auto_offset_reset="earliest", **options)
    ) as member:
        member.subscribe([name])
        assert (await member.getone()).value == b"value"
        await member.commit()
        await use_admin(connection, place)
        agent: Any = AgentOf(name)
        await group_status(platform, agent, {name: 1})
    assert name in await platform.topic_admin.describe([name])


async def use_admin(connection: dict[str, str], place: TopicPartition) -> None:
    async with started(new_consumer(connection)) as consumer:
        await bounds_of(consumer, [place])
        send = partial(ask_any_broker, consumer)
        assert place.topic in await topic_ids(send, [place.topic])
        await open_producers(send, [place])
        await transactional_ids(send, [])


class AgentOf:
    """What `group_status` asks of an agent."""

    needs_postgres = False

    def __init__(self, topic: str) -> None:
        self.name = topic
        self.reads = (topic,)


@pytest.fixture
def pass_through(monkeypatch: pytest.MonkeyPatch) -> Callable[[Responses], None]:
    """Lets every response pass through the one given last."""
    send = AIOKafkaClient.send
    current: list[Responses] = []

    async def sent(client: AIOKafkaClient, *arguments: Any, **options: Any) -> Any:
        return current[-1].pass_on(await send(client, *arguments, **options))

    monkeypatch.setattr(AIOKafkaClient, "send", sent)
    return current.append


async def test_no_error_of_a_response_is_passed_over(kafka: str, pass_through: Callable[[Responses], None]) -> None:
    pass_through(Responses())
    await use_everything(kafka)  # a broker that has just started lets some requests be repeated
    usual = Responses()
    pass_through(usual)
    await use_everything(kafka)
    apis = {api for api, _ in usual.levels}
    assert apis == CODES.keys(), "give a response of another kind a code here, and see that it is looked at"
    ignored = set()
    for api, path in usual.levels:
        injecting = Responses(api, path)
        pass_through(injecting)
        raised = False
        try:
            async with asyncio.timeout(60):
                await use_everything(kafka)
        except (KafkaError, ShieldXError):
            raised = True
        assert injecting.injected, (api, path)
        if not raised and not any(injecting.counts[it] > usual.counts[it] for it in (api, "JoinGroup")):
            ignored.add((api, path))
    assert ignored <= LEFT_ALONE.keys()
