"""Writes a ledger's state directly to its table topics, as if a worker had worked for a day."""

from __future__ import annotations

import asyncio
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from bench.growth.blocks import ENTRIES_A_BLOCK, block_of
from bench.workload import PLENTY
from shieldx.demo.bulk import BulkRecord, batches_of
from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, OUTCOMES, AccountRow
from shieldx.engine.kafka.positions import position_record
from shieldx.engine.tasks.codec import SCHEMA
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.position import VERSION, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HOURS = 24
BATCH_BYTES = 900_000
RECORDS_AT_A_TIME = 64
"""The maximum number of blocks in flight: 16 MB."""
ACCOUNTS_AT_A_TIME = 20_000
SEED = 4


class State(NamedTuple):
    """The size of the preloaded state."""

    tenants: int
    keys: int
    partitions: int


def accounts(state: State) -> Iterator[BulkRecord]:
    """A row for each tenant."""
    encode = msgspec.json.Encoder().encode
    for number in range(state.tenants):
        tenant_id = f"org-{number}"
        row = encode(AccountRow(tenant_id, PLENTY, 0, 0, PLENTY))
        yield BulkRecord(
            home_partition(tenant_id, state.partitions), tenant_id.encode(), row, [(SCHEMA, b"credits.account/1")]
        )


def remembered(state: State, last_hour: int) -> Iterator[tuple[BulkRecord, Consume]]:
    """Blocks for the 24 hours up to `last_hour`, oldest first, each with one command that it remembers."""
    random = Random(SEED)  # noqa: S311 - replaces digests, and a seed makes runs reproducible
    homes = _a_tenant_for_each(state.partitions)
    blocks = -(-state.keys // ENTRIES_A_BLOCK)
    left = state.keys
    for number in range(blocks):
        partition = number % state.partitions
        hour = last_hour - HOURS + 1 + number * HOURS // blocks
        command = Consume(tenant_id=homes[partition], idempotency_key=f"preloaded-{number}", amount=1)
        key, value = block_of(command, hour, min(left, ENTRIES_A_BLOCK), random)
        left -= ENTRIES_A_BLOCK
        yield BulkRecord(partition, key, value, []), command


async def preload(connection: Mapping[str, Any], positions_topic: str, state: State, last_hour: int) -> list[Consume]:
    """Write the state, and a position in each partition. Returns commands that are remembered."""
    commands = []
    async with AIOKafkaProducer(
        **connection, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES, max_request_size=2 * BATCH_BYTES
    ) as producer:
        rows = accounts(state)
        while chunk := list(islice(rows, ACCOUNTS_AT_A_TIME)):
            await _write(producer, ACCOUNTS, chunk)
        blocks = remembered(state, last_hour)
        while several := list(islice(blocks, RECORDS_AT_A_TIME)):
            await _write(producer, OUTCOMES, [record for record, _ in several])
            commands += [command for _, command in several]
        await _commit_start(producer, positions_topic, state.partitions)
    return commands


async def _write(producer: AIOKafkaProducer, topic: str, records: Iterable[BulkRecord]) -> None:
    deliveries = [
        await producer.send_batch(batch, topic, partition=partition)
        for partition, batch in batches_of(producer, records)
    ]
    await asyncio.gather(*deliveries)


async def _commit_start(producer: AIOKafkaProducer, positions_topic: str, partitions: int) -> None:
    """A worker rejects state without a position."""
    for number in range(partitions):
        start = position_record(TopicPartition(COMMANDS, number), Position(version=VERSION, next_offset=0))
        await producer.send_and_wait(positions_topic, start.value, key=start.key, partition=number)


def _a_tenant_for_each(partitions: int) -> list[str]:
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        found.setdefault(home_partition(f"org-{number}", partitions), f"org-{number}")
        number += 1
    return [found[partition] for partition in range(partitions)]
