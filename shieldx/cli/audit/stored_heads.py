"""The head of each shard, as the audit agent has stored it last."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.audit.head import Head
from shieldx.audit.tables import CHECKPOINTS
from shieldx.cli.audit.record_ranges import records_in, spans_of, steps_back
from shieldx.cli.committed_records import committed_consumer, partitions_of

if TYPE_CHECKING:
    from shieldx.bootstrap import Platform

STEP_OFFSETS = 16
"""A head is the last record but for the marker of its transaction."""

_decode = msgspec.json.Decoder(Head).decode


class StoredHead(NamedTuple):
    """The last record of a shard's key: its value, and the head in it; None if there is none in it, for `reason`."""

    shard: int
    value: bytes
    head: Head | None
    reason: str = ""


async def stored_heads(platform: Platform) -> list[StoredHead]:
    """The heads of all shards that have one, by shard.

    Raises:
        FixConfiguration: there is no such topic, or no broker answers.
    """
    partitions = await partitions_of(platform, CHECKPOINTS)
    found: dict[int, StoredHead] = {}
    async with committed_consumer(platform) as consumer:
        spans = await spans_of(consumer, CHECKPOINTS, range(partitions))
        left = {tp: steps_back(span, STEP_OFFSETS) for tp, span in spans.items()}
        while left:
            step = {tp: span for tp, steps in left.items() if (span := next(steps, None)) is not None}
            async for record in records_in(consumer, step):
                if record.key == str(record.partition).encode():
                    found[record.partition] = _stored(record.partition, record.value)
            left = {tp: left[tp] for tp in step if tp.partition not in found}
    return [head for _, head in sorted(found.items())]


def _stored(shard: int, value: bytes | None) -> StoredHead:
    if value is None:
        return StoredHead(shard, b"", None, "was deleted")
    try:
        head = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return StoredHead(shard, value, None, f"is none ({str(error).partition(' - ')[0]})")
    if head.shard != shard or b"\n" in value:
        return StoredHead(shard, value, None, "is not that of its shard, or not one line")
    return StoredHead(shard, value, head)
