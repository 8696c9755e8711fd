"""Sends steps with consecutive numbers and records what was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from shieldx.demo.bulk import BulkRecord, batches_of
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.kafka.clients import new_producer
from shieldx.engine.tasks.codec import CORRELATION_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.demo.steps import Step

_BATCH_BYTES = 500_000
_LINGER_MS = 5
"""The default of Kafka's own producer."""


class Sender:
    """Sends in bulk or one by one through one producer, so that each partition gets the records in send order."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._producer = new_producer(connection, linger_ms=_LINGER_MS, max_batch_size=_BATCH_BYTES)
        self._deliveries: list[asyncio.Future[Any]] = []
        self.sent: list[Step] = []
        """The sent records; a record's number is its index here."""
        self.to_be_answered = 0

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send_in_bulk(self, steps: Iterable[Step]) -> None:
        """Queue records in few batches; `delivered` waits for them."""
        records = (BulkRecord(step.partition, step.key, step.value, self._number(step)) for step in steps)
        for partition, batch in batches_of(self._producer, records):
            self._deliveries.append(await self._producer.send_batch(batch, COMMANDS, partition=partition))

    async def send(self, step: Step) -> None:
        """Queue one record; `delivered` waits for it."""
        headers = self._number(step)
        delivery = await self._producer.send(
            COMMANDS, step.value, key=step.key, partition=step.partition, headers=headers
        )
        self._deliveries.append(delivery)

    async def delivered(self) -> None:
        """Wait until the broker has acknowledged everything.

        Raises:
            KafkaError: The broker rejected a record.
        """
        deliveries, self._deliveries = self._deliveries, []
        await asyncio.gather(*deliveries)

    def _number(self, step: Step) -> list[tuple[str, bytes]]:
        sequence = len(self.sent)
        self.sent.append(step)
        self.to_be_answered += step.answered
        return [(CORRELATION_ID, b"%d" % sequence)]
