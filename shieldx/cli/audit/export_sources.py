"""The sources of an export: the log in Kafka, or its mirror. Records that cannot be exported are collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.domains.audit.breaks import Break, BreakKind, Breaks
from shieldx.domains.audit.projections import entry_of
from shieldx.domains.audit.record import encode, observe
from shieldx.domains.audit.segment import UnusableRecord
from shieldx.engine.kafka.committed_range import records_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from aiokafka import AIOKafkaConsumer

    from shieldx.cli.audit.criteria import Criteria
    from shieldx.cli.audit.mirror import Mirror
    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import TopicPartition

REPORT_RECORDS = 1000
"""How often to redraw: redrawing for every record would take longer than writing it."""


class Candidate(NamedTuple):
    """A matching entry, its value in the log, and its place: an offset, or its sequence in the mirror."""

    shard: int
    place: int
    entry: AuditEntry
    value: bytes


async def in_kafka(
    consumer: AIOKafkaConsumer,
    ranges: Mapping[TopicPartition, OffsetRange],
    wanted: Callable[[AuditEntry], bool],
    unusable: Breaks,
    progress: Callable[[int, int], None],
) -> AsyncIterator[Candidate]:
    """The entries of some ranges, partition by partition. `progress` is told of offsets passed, and of all."""
    before, total = 0, sum(each.offsets for each in ranges.values())
    for tp, part in sorted(ranges.items()):
        async for record in records_of(consumer, {tp: part}):
            _, found = next(observe(tp.partition, record.offset, record.key, record.value))
            if isinstance(found, UnusableRecord):
                unusable.add_range(
                    Break(found.kind, tp.partition, found.sequence, found.sequence, record.offset, found.detail)
                )
            elif wanted(found):
                yield Candidate(tp.partition, record.offset, found, record.value or b"")
            if record.offset % REPORT_RECORDS == 0:
                progress(before + record.offset - part.begin, total)
        before += part.offsets
        progress(before, total)


async def in_postgres(mirror: Mirror, criteria: Criteria, unusable: Breaks) -> AsyncIterator[Candidate]:
    """Yield the entries of the mirror, encoded as in the log."""
    async for row in mirror.rows(criteria):
        shard, sequence, exact = row["shard"], row["sequence"], row["exact"]
        try:
            entry = entry_of(row)
        except ValueError as error:
            unusable.add(BreakKind.MALFORMED, shard, sequence, sequence, str(error))
        else:
            yield Candidate(shard, sequence, entry, encode(entry) if exact is None else exact)
