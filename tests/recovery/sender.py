"""A producer that is replaced after an error, as by a client that starts again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

if TYPE_CHECKING:
    from shieldx.engine.tasks.log import Header

_REQUEST_TIMEOUT_MS = 1500
"""Shorter than a broker is dead or frozen: what was on its way then is sent again by a new producer."""
_CLOSE_S = 1.0
_RETRY_S = 0.3


class Sender:
    """Sends records, each to a partition that is given."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._replacing = asyncio.Lock()
        self._broken: AIOKafkaProducer | None = None
        self.replaced = 0

    async def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: list[Header]
    ) -> asyncio.Future[Any] | None:
        """Hand a record over; what is returned tells whether it was delivered, if its producer lives so long.

        If that fails the record is lost, or not: who waits for an answer sends it again.
        """
        async with self._replacing:
            producer = await self._healthy()
        try:
            delivery: asyncio.Future[Any] = await producer.send(
                topic, value, key=key, partition=partition, headers=headers
            )
        except (KafkaError, ProducerClosed):
            self._broken = producer
            return None
        delivery.add_done_callback(partial(self._note, producer))
        return delivery

    async def restart(self) -> None:
        """Go on with a new producer, as a client does that has ended and knows nothing of what it sent."""
        async with self._replacing:
            await self.close()

    async def close(self) -> None:
        """Let go of the producer, whatever it still holds."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await producer.stop()
        except (TimeoutError, KafkaError):
            await producer._sender.close()  # noqa: SLF001 - aiokafka has no public way to drop pending batches
            await producer.client.close()

    async def _healthy(self) -> AIOKafkaProducer:
        if self._producer is not None and self._producer is self._broken:
            self.replaced += 1
            await self.close()
        while self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                enable_idempotence=True,
                linger_ms=5,
                request_timeout_ms=_REQUEST_TIMEOUT_MS,
            )
            try:
                await producer.start()
            except KafkaError:
                await producer.stop()
                await asyncio.sleep(_RETRY_S)
            else:
                self._producer = producer
        return self._producer

    def _note(self, producer: AIOKafkaProducer, delivery: asyncio.Future[Any]) -> None:
        if delivery.cancelled() or delivery.exception() is not None:
            self._broken = producer
