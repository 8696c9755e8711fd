"""Finds an entry in its partition by binary search."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.committed_records import ranges_of
from shieldx.domains.audit.record import Malformed, decode
from shieldx.domains.audit.tables import LOG
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.log import TopicPartition

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from shieldx.cli.audit.entry_id import EntryId
    from shieldx.domains.audit.entry import AuditEntry

FEW_OFFSETS = 200
"""Reading this many records takes no longer than another seek."""


class Found(NamedTuple):
    """An entry and its location in the log."""

    entry: AuditEntry
    offset: int
    key: bytes | None


async def find_entry(consumer: AIOKafkaConsumer, wanted: EntryId) -> Found | None:
    """Find an entry by its id. Returns None if binary search does not find it.

    In an intact log sequences grow with offsets. In a damaged log, an existing entry may be missed.
    """
    tp = TopicPartition(LOG, wanted.shard)
    within = (await ranges_of(consumer, LOG, [wanted.shard]))[tp]
    while within.offsets > FEW_OFFSETS:
        middle = (within.begin + within.end) // 2
        found = await _first_in(consumer, tp, OffsetRange(middle, within.end))
        if found is not None and found.entry.sequence <= wanted.sequence:
            within = OffsetRange(found.offset, within.end)
            if found.entry.sequence == wanted.sequence:
                return found
        else:
            within = OffsetRange(within.begin, middle)
    return await _first_in(consumer, tp, within, wanted.sequence)


async def last_entry(consumer: AIOKafkaConsumer, shard: int) -> AuditEntry | None:
    """The last entry of a shard, or None if it has none."""
    tp = TopicPartition(LOG, shard)
    held = (await ranges_of(consumer, LOG, [shard]))[tp]
    for step in held.steps_back(FEW_OFFSETS):
        last = None
        async for record in records_of(consumer, {tp: step}):
            last = _entry_in(record.value) or last
        if last is not None:
            return last
    return None


async def _first_in(
    consumer: AIOKafkaConsumer, tp: TopicPartition, within: OffsetRange, sequence: int | None = None
) -> Found | None:
    """The first entry of a range, or the first of that sequence."""
    async with aclosing(records_of(consumer, {tp: within})) as records:
        async for record in records:
            entry = _entry_in(record.value)
            if entry is not None and sequence in (None, entry.sequence):
                return Found(entry, record.offset, record.key)
    return None


def _entry_in(value: bytes | None) -> AuditEntry | None:
    try:
        return None if value is None else decode(value)
    except Malformed:
        return None
