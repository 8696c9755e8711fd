"""How far an agent's consumer group has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiokafka import TopicPartition

from shieldx.cli.committed_records import committed_consumer, uncommitted_consumer
from shieldx.engine.kafka.aiokafka_internals import describe_group, group_offsets
from shieldx.engine.kafka.clients import new_admin, started
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.kafka.offset_range import OffsetRange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import AIOKafkaConsumer

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.declarations.agent import Agent

FEW_OFFSETS = 20


class PartitionLag(msgspec.Struct, frozen=True):
    """Records of one input partition that are not yet committed. `end` is the partition's high watermark."""

    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    waiting: int
    """How many of them wait for the end of a transaction."""


class GroupStatus(msgspec.Struct, frozen=True):
    """An agent's consumer group."""

    agent: str
    group: str
    state: str
    members: int
    lag: int
    partitions: list[PartitionLag]
    set_aside: int = 0
    """The number of records that a sink has passed without writing them."""


async def group_status(
    platform: Platform,
    agent: Agent,
    partitions: Mapping[str, int],
    positions: Mapping[TopicPartition, int] | None = None,
) -> GroupStatus:
    """The group of an agent, over those of its inputs that exist, with their partition counts.

    `positions` are a sink's, which commits none to its group.
    """
    group = platform.group(agent)
    inputs = [TopicPartition(topic, n) for topic in agent.reads for n in range(partitions.get(topic, 0))]
    async with started(new_admin(platform.connection)) as admin:
        described = await describe_group(admin, group)
        found = await group_offsets(admin, group, inputs) if inputs else {}
        committed = {tp: position.offset for tp, position in found.items()}
    lags = await lags_of(platform, inputs, committed if positions is None else positions)
    return GroupStatus(agent.name, group, described.state, described.members, sum(lag.lag for lag in lags), lags)


async def lags_of(
    platform: Platform, inputs: list[TopicPartition], committed: Mapping[TopicPartition, int]
) -> list[PartitionLag]:
    """The number of records after each position, or after the beginning where there is no position.

    Records of an open transaction count, since they are not read before it ends.
    """
    async with committed_consumer(platform) as consumer, uncommitted_consumer(platform) as uncommitted:
        stable, held = await bounds_of(consumer, inputs), await bounds_of(uncommitted, inputs)
        behind = {tp: OffsetRange(max(committed.get(tp, 0), first), end) for tp, (first, end) in stable.items()}
        lags = {tp: each.offsets for tp, each in behind.items()}
        lags |= await _count(consumer, {tp: each for tp, each in behind.items() if 0 < each.offsets <= FEW_OFFSETS})
    waiting = {tp: max(0, held[tp].end - stable[tp].end) for tp in inputs}
    return [
        PartitionLag(tp.topic, tp.partition, committed.get(tp), held[tp].end, lags[tp] + waiting[tp], waiting[tp])
        for tp in inputs
    ]


async def _count(consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]) -> dict[TopicPartition, int]:
    """The number of records in short ranges. The marker of a tick's transaction takes an offset and is not a record."""
    counts = dict.fromkeys(ranges, 0)
    async for record in records_of(consumer, ranges):
        counts[TopicPartition(record.topic, record.partition)] += 1
    return counts
