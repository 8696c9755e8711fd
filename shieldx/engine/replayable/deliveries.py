"""Writes to Kafka outside of transactions: idempotent, and awaited until every replica in sync has them."""

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
    """A producer that is replaced after a delivery has failed: its sequence numbers would be refused from then on."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: no broker answers.
        """
        await self._connected()

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._replace(self._producer)
        await asyncio.gather(*self._closing)

    async def write(self, writes: Mapping[TopicPartition, Sequence[Write]]) -> None:
        """Return when all of it is written.

        Raises:
            FixConfiguration: an ACL is missing.
            OutputTooLarge: the broker takes no record of that size.
            RestoreTask: the broker did not answer, or not in time. Some of it may be written.
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
            raise OutputTooLarge(f"the broker takes no record of that size: {error!r}") from error
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
        logger.debug("a producer was not closed in order: %r", error)
