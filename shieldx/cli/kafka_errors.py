"""aiokafka's errors as this project names them."""

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
    """Have one error say what failed.

    Raises:
        CheckConnection: aiokafka raised something.
    """
    try:
        yield
    except KafkaError as error:
        raise CheckConnection(
            f"Kafka at {bootstrap} failed: {error!r}. `shieldx status` says what is reachable"
        ) from error


def silence_aiokafka() -> None:
    """Leave it to our errors to say what failed: aiokafka logs each refused connection as an error too."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_not_aiokafkas)


def _is_not_aiokafkas(record: logging.LogRecord) -> bool:
    """False for futures within aiokafka that nobody awaits, which have the error that another has raised."""
    return not (record.exc_info and isinstance(record.exc_info[1], KafkaError))
