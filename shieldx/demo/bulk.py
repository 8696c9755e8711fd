"""Sends records for several partitions in few batches, because a future per record costs more than sending it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiokafka import AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder


class BulkRecord(NamedTuple):
    """A record and its destination."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def batches_of(producer: AIOKafkaProducer, records: Iterable[BulkRecord]) -> Iterator[tuple[int, BatchBuilder]]:
    """Yield closed batches with their partitions. Records keep their order within each partition."""
    builders: dict[int, BatchBuilder] = {}
    for partition, key, value, headers in records:
        builder = builders.get(partition)
        if builder is None or builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            if builder is not None:
                builder.close()
                yield partition, builder
            builder = builders[partition] = producer.create_batch()
            builder.append(timestamp=None, key=key, value=value, headers=headers)
    for partition, builder in builders.items():
        builder.close()
        yield partition, builder
