"""What a process that runs workers logs, to stderr."""

from __future__ import annotations

import logging

from shieldx.engine.operations.json_logs import JsonFormatter

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """Time, level, logger and message, then what was given as `extra`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it so
        """One line, before any traceback."""
        given = [f" {name}={value}" for name, value in record.__dict__.items() if name not in _STANDARD]
        return super().formatMessage(record) + "".join(given)


def log_to_stderr(log_format: str, *, level: int = logging.INFO) -> None:
    """Log as JSON or text: ours from a level, others' warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("shieldx").setLevel(level)
    logging.getLogger("aiokafka.producer.sender").addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """False for one warning: aiokafka retries while a Kafka 4 broker verifies a transaction, which is no fault.

    Such a broker answers NOT_ENOUGH_REPLICAS until it has heard of the partition from its coordinator.
    """
    message = record.getMessage()
    return not ("retrying" in message and "NotEnoughReplicasError" in message)
