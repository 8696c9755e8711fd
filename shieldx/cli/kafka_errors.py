"""Converts aiokafka's errors to this project's errors."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shieldx.client import MakeItSmaller
from shieldx.engine.kafka.access import refusal
from shieldx.errors import CheckConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def named_kafka_errors(connection: Mapping[str, Any]) -> Iterator[None]:
    """Have one error say what failed.

    Raises:
        FixConfiguration: an ACL is missing.
        MakeItSmaller: a record exceeds what the broker takes; it was not sent.
        CheckConnection: aiokafka raised something else.
    """
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise MakeItSmaller(f"it was not sent: {error}") from error
    except KafkaError as error:
        raise refusal(error, connection) or CheckConnection(
            f"Kafka at {connection['bootstrap_servers']} failed: {error!r}. `shieldx status` says what is reachable"
        ) from error


def silence_aiokafka() -> None:
    """Silence aiokafka, which logs each refused connection as an error; our own errors say what failed."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_not_aiokafkas)


def _is_not_aiokafkas(record: logging.LogRecord) -> bool:
    """False for futures inside aiokafka that nobody awaits; their errors are also raised elsewhere."""
    return not (record.exc_info and isinstance(record.exc_info[1], KafkaError))
