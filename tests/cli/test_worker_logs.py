from __future__ import annotations

import logging

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NotEnoughReplicasError, NotLeaderForPartitionError

from shieldx.cli.worker_logs import TextFormatter, is_news

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
