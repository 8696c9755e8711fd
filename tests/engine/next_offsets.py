"""How far an agent has read: what a task would begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.engine.tasks.position import VERSION, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.tasks.log import Log, TopicPartition


def positions(offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, Position]:
    """Position records with these next offsets, as a person would write them."""
    return {tp: Position(version=VERSION, next_offset=offset) for tp, offset in offsets.items()}


async def next_offsets(log: Log, inputs: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The committed next offset of each input; where there is none, the first offset that exists."""
    wanted = list(inputs)
    found, bounds = await log.positions(wanted), await log.bounds(wanted)
    return {tp: found[tp].next_offset if tp in found else bounds[tp][0] for tp in wanted}
