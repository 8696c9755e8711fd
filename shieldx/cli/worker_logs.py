"""Logging of worker processes to stderr."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shieldx.engine.operations.json_logs import JsonFormatter
from shieldx.privacy.log_filter import MaskingFilter

if TYPE_CHECKING:
    from shieldx.privacy.masker import Masker

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """Formats time, level, logger and message, followed by the `extra` values."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it so
        """One line, before any traceback."""
        given = [f" {name}={value}" for name, value in record.__dict__.items() if name not in _STANDARD]
        return super().formatMessage(record) + "".join(given)


def log_to_stderr(log_format: str, masker: Masker, *, level: int = logging.INFO) -> None:
    """Log as JSON or text, masked: our own logs from `level` on, and warnings of libraries."""
    handler = logging.StreamHandler()
    handler.addFilter(MaskingFilter(lambda: masker))
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("shieldx").setLevel(level)
    logging.getLogger("aiokafka.producer.sender").addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """False for one warning: aiokafka retries while a Kafka 4 broker verifies a transaction, which is not a fault.

    Such a broker responds NOT_ENOUGH_REPLICAS until its coordinator has told it about the partition.
    """
    message = record.getMessage()
    return not ("retrying" in message and "NotEnoughReplicasError" in message)
