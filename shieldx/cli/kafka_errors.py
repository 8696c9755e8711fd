"""Converts aiokafka's errors to this project's errors."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from shieldx.client import CheckConnection

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def named_kafka_errors(bootstrap: str) -> Iterator[None]:
    """Raise one error that says what failed.

    Raises:
        CheckConnection: aiokafka raised an error.
    """
    try:
        yield
    except KafkaError as error:
        raise CheckConnection(
            f"Kafka at {bootstrap} failed: {error!r}. Run `shieldx status` to see what is reachable"
        ) from error


def silence_aiokafka() -> None:
    """Silence aiokafka, which logs each refused connection as an error; our own errors say what failed."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_not_aiokafkas)


def _is_not_aiokafkas(record: logging.LogRecord) -> bool:
    """False for futures inside aiokafka that nobody awaits; their errors are also raised elsewhere."""
    return not (record.exc_info and isinstance(record.exc_info[1], KafkaError))
