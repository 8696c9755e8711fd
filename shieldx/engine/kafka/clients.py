"""Builds every Kafka client. No other module calls a constructor of aiokafka, so all clients share these defaults."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from shieldx.engine.kafka.access import FAILURES, refusal, why_unreachable
from shieldx.engine.kafka.aiokafka_fetcher import Consumer
from shieldx.engine.kafka.aiokafka_internals import GroupConsumer
from shieldx.errors import RestoreTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shieldx.errors import ShieldXError

REQUEST_TIMEOUT_MS = 40_000
"""For commands: within this time another broker becomes the leader of a partition."""
TASK_REQUEST_TIMEOUT_MS = 10_000
"""For tasks: after an error they restore and try again, so they need not wait for a new leader."""
FETCH_WAIT_MS = 100
"""How long a broker holds a fetch while a partition has no new records."""

_CONSUMER = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    "request_timeout_ms": REQUEST_TIMEOUT_MS,
}
_PRODUCER = {"acks": "all", "enable_idempotence": True, "request_timeout_ms": REQUEST_TIMEOUT_MS}

ClientT = TypeVar("ClientT", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


def new_consumer(connection: Mapping[str, Any], **options: Any) -> Consumer:
    """A consumer without a group. It reads committed records, and fails where an offset does not exist.

    In place of a record that cannot be decoded, it returns an `UndecodedRecord`.

    `options` are those of `AIOKafkaConsumer`; they override the defaults.
    """
    return Consumer(**{**_CONSUMER, **connection, **options})


def new_group_consumer(connection: Mapping[str, Any], assignor: object, **options: Any) -> GroupConsumer:
    """A member of the consumer group that `connection` or `options` name as `group_id`.

    It reads committed records and commits offsets only when told to.

    Args:
        connection: the addresses, the security settings and the options of the member's group.
        assignor: an `AbstractPartitionAssignor`, its class or an instance.
        options: those of `AIOKafkaConsumer`; they override the defaults.
    """
    return GroupConsumer(**{**_CONSUMER, **connection, **options}, partition_assignment_strategy=(assignor,))


def new_producer(connection: Mapping[str, Any], **options: Any) -> AIOKafkaProducer:
    """An idempotent producer. A delivery is done once all replicas in sync have it.

    `options` are those of `AIOKafkaProducer`; they override the defaults.
    """
    return AIOKafkaProducer(**{**_PRODUCER, **connection, **options})


def new_admin(connection: Mapping[str, Any], **options: Any) -> AIOKafkaAdminClient:
    """An admin client. `options` are those of `AIOKafkaAdminClient`; they override the defaults."""
    return AIOKafkaAdminClient(**{"request_timeout_ms": REQUEST_TIMEOUT_MS, **connection, **options})


@asynccontextmanager
async def started(client: ClientT) -> AsyncIterator[ClientT]:
    """Start a client and stop it in the end, even if it could not start: aiokafka's own contexts would leave it open.

    Raises:
        KafkaError: no broker responds.
    """
    try:
        await _start(client)
        yield client
    finally:
        await stop(client)


async def connect(
    client: ClientT, connection: Mapping[str, Any], otherwise: type[ShieldXError] = RestoreTask
) -> ClientT:
    """Start a client, or stop it and say why it cannot start.

    Raises:
        FixConfiguration: an ACL is missing.
        otherwise: no broker responds.
    """
    try:
        await _start(client)
    except BaseException as error:
        await stop(client)
        if isinstance(error, FAILURES):
            raise refusal(error, connection) or otherwise(await why_unreachable(connection)) from error
        raise
    return client


async def stop(client: ClientT) -> None:
    """Disconnect a client, whether it has started or not."""
    await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


async def _start(client: ClientT) -> None:
    await client.start()
    await asyncio.sleep(0)  # stopping raises unless aiokafka's own tasks have begun
