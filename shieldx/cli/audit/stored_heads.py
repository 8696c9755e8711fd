"""The latest stored head of each shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli.committed_records import committed_consumer, partitions_of, ranges_of
from shieldx.domains.audit.tables import CHECKPOINTS
from shieldx.engine.kafka.committed_range import records_of

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

STEP_OFFSETS = 16
"""A head is the last record except for its transaction's marker."""


async def stored_heads(platform: Platform) -> list[tuple[str, int, bytes | None]]:
    """For each shard: the location of the last record with its key, the shard, and the record's value; for `judge`.

    Raises:
        FixConfiguration: The topic does not exist, or no broker responds.
    """
    partitions = await partitions_of(platform, CHECKPOINTS)
    found: dict[int, tuple[str, int, bytes | None]] = {}
    async with committed_consumer(platform) as consumer:
        ranges = await ranges_of(consumer, CHECKPOINTS, range(partitions))
        left = {tp: held.steps_back(STEP_OFFSETS) for tp, held in ranges.items()}
        while left:
            step = {tp: part for tp, steps in left.items() if (part := next(steps, None)) is not None}
            async for record in records_of(consumer, step):
                shard = record.partition
                if record.key == str(shard).encode():
                    found[shard] = (f"{CHECKPOINTS}/{shard}/{record.offset}", shard, record.value)
            left = {tp: left[tp] for tp in step if tp.partition not in found}
    return [head for _, head in sorted(found.items())]
