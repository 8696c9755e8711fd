"""Transactions that keep the readers of a partition waiting, and who has begun them."""

from __future__ import annotations

from functools import partial
from time import time
from typing import TYPE_CHECKING

import msgspec
from aiokafka.errors import KafkaError

from shieldx.cli.committed_records import uncommitted_consumer
from shieldx.engine.kafka.aiokafka_internals import ask_broker
from shieldx.engine.kafka.aiokafka_requests import open_producers, transactional_ids
from shieldx.engine.kafka.clients import new_admin, started
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.operations import open_transactions as too_long
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.kafka.aiokafka_requests import OpenProducer
    from shieldx.engine.tasks.log import TopicPartition


class OpenTransactionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that has been open for longer than any of ShieldX's own, as far as Kafka tells."""

    topic: str
    partition: int
    first_offset: int
    producer_id: int
    transactional_id: str | None
    """None if this user may not see it."""
    last_record_at: str

    def __str__(self) -> str:
        name = f" ({self.transactional_id})" if self.transactional_id is not None else ""
        return (
            f"{self.topic}/{self.partition}: producer {self.producer_id}{name} has had a transaction open from offset "
            f"{self.first_offset} on; its last record is of {self.last_record_at}"
        )


async def open_transactions(platform: Platform, waiting: Iterable[TopicPartition]) -> list[OpenTransactionStatus]:
    """The transactions in some partitions whose first record is older than `HELD_UP_S`.

    Raises:
        KafkaError: no broker responds.
    """
    partitions = list(waiting)
    if not partitions:
        return []
    found: dict[TopicPartition, list[OpenProducer]] = {}
    names: dict[int, str] = {}
    async with started(new_admin(platform.connection)) as admin:
        brokers = [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]]
        for node_id in brokers:
            found |= await open_producers(partial(ask_broker, admin, node_id), partitions)
        begun_ms = await _begun_ms(platform, [(tp, it.first_offset) for tp, them in found.items() for it in them])
        old_ms = (time() - too_long.HELD_UP_S) * 1000
        old = [(tp, it) for tp, them in found.items() for it in them if begun_ms.get((tp, it.first_offset), 0) < old_ms]
        for node_id in brokers if old else []:
            try:
                names |= await transactional_ids(partial(ask_broker, admin, node_id), {it.producer_id for _, it in old})
            except KafkaError:
                continue  # a coordinator that is loading, or an ACL: the producer's number is known
    return [
        OpenTransactionStatus(
            topic=tp.topic,
            partition=tp.partition,
            first_offset=it.first_offset,
            producer_id=it.producer_id,
            transactional_id=names.get(it.producer_id),
            last_record_at=rfc3339(it.last_record_at_ms),
        )
        for tp, it in old
    ]


async def _begun_ms(
    platform: Platform, firsts: list[tuple[TopicPartition, int]]
) -> dict[tuple[TopicPartition, int], int]:
    """The time of the first record of each transaction, by its place. A place is missing if its record is gone."""
    begun_ms = {}
    async with uncommitted_consumer(platform) as consumer:
        for tp, offset in firsts:
            async for record in records_of(consumer, {tp: OffsetRange(offset, offset + 1)}):
                begun_ms[tp, offset] = record.timestamp
    return begun_ms
