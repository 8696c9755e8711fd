"""Idempotent writes to Kafka outside of transactions, awaited until all in-sync replicas have them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka.errors import MessageSizeTooLargeError, RecordTooLargeError

from shieldx.engine.kafka.access import FAILURES, refusal
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, connect, new_producer
from shieldx.engine.kafka.kafka_log import CLOSE_TIMEOUT_S
from shieldx.errors import OutputTooLarge, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiokafka import AIOKafkaProducer

    from shieldx.engine.tasks.log import TopicPartition, Write

logger = logging.getLogger(__name__)


class Deliveries:
    """A producer that is replaced after a failed delivery, because its sequence numbers would then be rejected."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: no broker responds.
        """
        await self._connected()

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._replace(self._producer)
        await asyncio.gather(*self._closing)

    async def write(self, writes: Mapping[TopicPartition, Sequence[Write]]) -> None:
        """Write records. Returns when all of them are written.

        Raises:
            FixConfiguration: an ACL is missing.
            OutputTooLarge: the broker rejects a record of that size.
            RestoreTask: the broker did not respond in time. Some records may be written.
        """
        producer = await self._connected()
        try:
            sent = [
                await producer.send(tp.topic, each.value, key=each.key, headers=each.headers, partition=tp.partition)
                for tp, records in writes.items()
                for each in records
            ]
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        except (MessageSizeTooLargeError, RecordTooLargeError) as error:
            self._replace(producer)
            raise OutputTooLarge(f"the broker rejects a record of that size: {error!r}") from error
        except FAILURES as error:
            self._replace(producer)
            raise refusal(error, self._connection) or RestoreTask(f"outputs were not written: {error!r}") from error

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = new_producer(self._connection, request_timeout_ms=TASK_REQUEST_TIMEOUT_MS)
                self._producer = await connect(producer, self._connection)
            return self._producer

    def _replace(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            closing = asyncio.create_task(_close(producer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _close(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await producer.stop()
    except (*FAILURES, TimeoutError) as error:
        logger.debug("a producer was not closed cleanly: %r", error)
