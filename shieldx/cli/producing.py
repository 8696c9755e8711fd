"""A producer for a command's own records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.engine.kafka.clients import new_producer, started

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from aiokafka import AIOKafkaProducer

    from shieldx.bootstrap.platform import Platform


def open_producer(platform: Platform, **options: Any) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    """A producer that is stopped whatever happens."""
    return started(new_producer(platform.connection, **options))
