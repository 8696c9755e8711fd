"""A producer for a command's own records."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shieldx.bootstrap.platform import Platform


@asynccontextmanager
async def open_producer(platform: Platform, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that is stopped whatever happens: aiokafka's own context leaves open what could not start."""
    producer = AIOKafkaProducer(**platform.connection, acks="all", enable_idempotence=True, **options)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
