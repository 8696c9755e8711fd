"""How far an agent's consumer group has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shieldx.cli.committed_records import committed_consumer
from shieldx.engine.kafka.aiokafka_internals import group_offsets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import AIOKafkaConsumer

    from shieldx.bootstrap import Platform
    from shieldx.engine.declarations.agent import AnyAgent

FEW_OFFSETS = 20
PEEK_MS = 300


class PartitionLag(msgspec.Struct, frozen=True):
    """Records of one input partition that are not yet committed."""

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


class GroupStatus(msgspec.Struct, frozen=True):
    """An agent's consumer group."""

    agent: str
    group: str
    state: str
    members: int
    lag: int
    partitions: list[PartitionLag]


async def group_status(
    platform: Platform,
    agent: AnyAgent,
    partitions: Mapping[str, int],
    positions: Mapping[TopicPartition, int] | None = None,
) -> GroupStatus:
    """The group of an agent, over those of its inputs that exist, with their partition counts.

    `positions` are a sink's, which commits none to its group.
    """
    group = platform.group(agent)
    inputs = [TopicPartition(topic, n) for topic in agent.reads for n in range(partitions.get(topic, 0))]
    admin = AIOKafkaAdminClient(**platform.connection)
    try:
        await admin.start()
        response = (await admin.describe_consumer_groups([group]))[0]
        committed = await group_offsets(admin, group, inputs) if inputs else {}
    finally:
        await admin.close()
    async with committed_consumer(platform) as consumer:
        lags = await lags_of(consumer, inputs, committed if positions is None else positions)
    _, _, state, _, _, members = response.groups[0][:6]
    return GroupStatus(agent.name, group, state, len(members), sum(lag.lag for lag in lags), lags)


async def lags_of(
    consumer: AIOKafkaConsumer, inputs: list[TopicPartition], committed: Mapping[TopicPartition, int]
) -> list[PartitionLag]:
    """How many records stand behind the positions given, or behind the beginning where there is none."""
    if not inputs:
        return []
    first = await consumer.beginning_offsets(inputs)
    ends = await consumer.end_offsets(inputs)
    positions = {tp: max(committed.get(tp, 0), first[tp]) for tp in inputs}
    lags = {tp: ends[tp] - positions[tp] for tp in inputs}
    lags |= await _peek(consumer, {tp: positions[tp] for tp, lag in lags.items() if 0 < lag <= FEW_OFFSETS})
    return [PartitionLag(tp.topic, tp.partition, committed.get(tp), ends[tp], lags[tp]) for tp in inputs]


async def _peek(consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Count the records behind a few offsets: the marker of a tick's transaction takes one, and nobody reads it."""
    if not positions:
        return {}
    consumer.assign(list(positions))
    for tp, offset in positions.items():
        consumer.seek(tp, offset)
    counts = dict.fromkeys(positions, 0)
    while fetched := await consumer.getmany(timeout_ms=PEEK_MS):
        for tp, records in fetched.items():
            counts[tp] += len(records)
            if counts[tp] > FEW_OFFSETS:
                consumer.pause(tp)
    return counts
