from __future__ import annotations

import logging

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NotEnoughReplicasError, NotLeaderForPartitionError

from shieldx.cli.worker_logs import TextFormatter, is_news, log_to_stderr
from shieldx.privacy import default_masker

RETRYING = "Got error produce response on topic-partition %s, retrying. Error: %s"


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.producer.sender", logging.WARNING, "", 0, message, values, None)


@pytest.mark.parametrize(
    ("message", "values", "news"),
    [
        (RETRYING, (TopicPartition("t", 0), NotEnoughReplicasError), False),
        (RETRYING, (TopicPartition("t", 0), NotLeaderForPartitionError), True),
        ("Got error produce response: %s", (NotEnoughReplicasError(),), True),
        ("other", (), True),
    ],
)
def test_only_the_transaction_verification_warning_is_suppressed(
    message: str, values: tuple[object, ...], news: bool
) -> None:
    assert is_news(record(message, *values)) is news


def test_text_ends_with_what_was_given_as_extra() -> None:
    line = record("assigned")
    line.partitions = [1, 2]
    assert TextFormatter().format(line).endswith("WARNING aiokafka.producer.sender: assigned partitions=[1, 2]")


def test_workers_log_masked(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], logging.getLogger("shieldx").level
    root.handlers.clear()
    try:
        log_to_stderr("json", default_masker())
        logging.getLogger("shieldx").info("sent to %s", "user@email.com")
    finally:
        root.handlers[:] = before
        logging.getLogger("shieldx").setLevel(level)
    assert '"message":"sent to us***@email.com"' in capsys.readouterr().err
