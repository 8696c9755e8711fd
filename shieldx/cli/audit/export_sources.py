"""The sources of an export: the log in Kafka, or its mirror. Records that cannot be exported are collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.committed_records import records_in
from shieldx.domains.audit.breaks import Break, BreakKind, Breaks
from shieldx.domains.audit.projections import entry_of
from shieldx.domains.audit.record import encode, observe
from shieldx.domains.audit.segment import UnusableRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from aiokafka import AIOKafkaConsumer, TopicPartition

    from shieldx.cli.audit.criteria import Criteria
    from shieldx.cli.audit.mirror import AuditMirror
    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.engine.kafka.span import Span

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
    spans: Mapping[TopicPartition, Span],
    wanted: Callable[[AuditEntry], bool],
    unusable: Breaks,
    progress: Callable[[int, int], None],
) -> AsyncIterator[Candidate]:
    """Yield the entries of offset ranges, partition by partition. `progress` gets the passed and the total offsets."""
    before, total = 0, sum(span.end - span.begin for span in spans.values())
    for tp, span in sorted(spans.items()):
        async for record in records_in(consumer, {tp: span}):
            _, found = next(observe(tp.partition, record.offset, record.key, record.value))
            if isinstance(found, UnusableRecord):
                unusable.add_range(
                    Break(found.kind, tp.partition, found.sequence, found.sequence, record.offset, found.detail)
                )
            elif wanted(found):
                yield Candidate(tp.partition, record.offset, found, record.value)
            if record.offset % REPORT_RECORDS == 0:
                progress(before + record.offset - span.begin, total)
        before += span.end - span.begin
        progress(before, total)


async def in_postgres(mirror: AuditMirror, criteria: Criteria, unusable: Breaks) -> AsyncIterator[Candidate]:
    """Yield the entries of the mirror, encoded as in the log."""
    async for row in mirror.rows(criteria):
        shard, sequence, exact = row["shard"], row["sequence"], row["exact"]
        try:
            entry = entry_of(row)
        except ValueError as error:
            unusable.add(BreakKind.MALFORMED, shard, sequence, sequence, str(error))
        else:
            yield Candidate(shard, sequence, entry, encode(entry) if exact is None else exact)
