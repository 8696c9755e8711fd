"""Sends commands with as little CPU time as Python allows: in whole batches with one future each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaProducer

from shieldx.demo.bulk import BulkRecord, batches_of
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.tasks.codec import CORRELATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.workload import Encoded

BATCH_BYTES = 500_000


class Sending:
    """A producer of numbered commands. The number is the correlation id."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._producer = AIOKafkaProducer(
            **connection, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES, request_timeout_ms=60_000
        )
        self._deliveries: set[asyncio.Future[Any]] = set()
        self.sent = 0

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send(self, commands: Iterable[Encoded]) -> None:
        """Queue commands in one or more batches per partition."""
        records = (BulkRecord(*command, self._number()) for command in commands)
        for partition, batch in batches_of(self._producer, records):
            delivery = await self._producer.send_batch(batch, COMMANDS, partition=partition)
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def delivered(self) -> None:
        """Return when the broker has acknowledged everything."""
        await asyncio.gather(*self._deliveries)

    def _number(self) -> list[tuple[str, bytes]]:
        self.sent += 1
        return [(CORRELATION_ID, b"%d" % (self.sent - 1))]
