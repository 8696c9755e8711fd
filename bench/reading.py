"""Reads committed records with librdkafka: a Python reader would take a third of a core from what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 0.05
"""How long results may wait until they are counted: the resolution of a measurement that takes seconds."""
AT_A_TIME = 100_000
TIMEOUT_S = 30.0


class Reader:
    """Reads every committed record of a topic from its beginning, without a group. Its methods block."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench.reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": int(WAIT_S * 1000),
            }
        )

    def __enter__(self) -> Self:
        known = self._consumer.list_topics(self._topic, timeout=TIMEOUT_S).topics[self._topic].partitions
        self._places = [TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in known]
        self._consumer.assign(self._places)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def count_more(self) -> int:
        """The number of records that arrived within `WAIT_S`."""
        return sum(message.error() is None for message in self._take())

    def values(self) -> Iterator[bytes]:
        """The values from the beginning to the current end."""
        return (value for _, _, value in self.records())

    def records(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Partition, key and value of each record from the beginning to the current end."""
        for place in self._places:
            place.offset = OFFSET_BEGINNING
        self._consumer.assign(self._places)
        unfinished = {place.partition for place in self._places}
        while unfinished:
            for message in self._take():
                if message.error() is None:
                    yield message.partition(), message.key(), message.value()
                else:
                    unfinished.discard(message.partition())

    def skip_to_end(self) -> None:
        """Skip the current records."""
        for _ in self.values():
            pass

    def _take(self) -> list[Any]:
        """The records that arrived, and an `error` for each partition whose end was reached.

        Raises:
            KafkaException: Any other error.
        """
        messages: list[Any] = self._consumer.consume(AT_A_TIME, WAIT_S)
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                raise KafkaException(error)
        return messages
