"""`shieldx audit tail`: prints the last entries, and optionally new ones."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.criteria import Criteria
from shieldx.cli.audit.entry_table import HEADINGS, line, row
from shieldx.cli.audit.masked_entry import printed_entry, unmasked_option
from shieldx.cli.committed_records import committed_consumer, partitions_of, ranges_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table, printable, say
from shieldx.domains.audit.record import Malformed, decode
from shieldx.domains.audit.tables import LOG
from shieldx.engine.kafka.committed_range import records_from, records_of
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiokafka import AIOKafkaConsumer

    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import TopicPartition

FIRST_STEP_OFFSETS = 64
"""Added to the first step back, because transaction markers take offsets too."""


@click.command()
@click.option(
    "-n", "count", type=click.IntRange(0, 100_000), default=20, show_default=True, help="Print the last N entries."
)
@click.option("--follow", "-f", is_flag=True, help="Continue with new entries until Ctrl-C.")
@click.option("--tenant", metavar="T", help="Only this tenant.")
@click.option("--actor", metavar="A", help="Only this actor.")
@click.option("--action", metavar="X", help="Only this action; `credits.*` matches a prefix.")
@unmasked_option
@as_json
def command(
    count: int,
    tenant: str | None,
    actor: str | None,
    action: str | None,
    *,
    follow: bool,
    unmasked: bool,
    as_json: bool,
) -> None:
    """Print the last committed entries of all shards in the order of stream time, with personal data masked."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    printed = printed_entry(platform.settings, unmasked=unmasked)
    show = _shown_as(printed, as_json=json_wanted(as_json=as_json), follow=follow)
    with named_kafka_errors(platform.connection):
        asyncio.run(_tail(platform, Criteria(tenant, actor, action), count, show, follow=follow))


def _shown_as(
    printed: Callable[[AuditEntry], AuditEntry], *, as_json: bool, follow: bool
) -> Callable[[Iterable[AuditEntry]], None]:
    def lines(entries: Iterable[AuditEntry]) -> None:
        for entry in map(printed, entries):
            if as_json:
                print_json(entry)
            else:
                click.echo(line(entry))

    return lines if as_json or follow else lambda entries: print_table(HEADINGS, map(row, map(printed, entries)))


async def _tail(
    platform: Platform,
    criteria: Criteria,
    count: int,
    show: Callable[[Iterable[AuditEntry]], None],
    *,
    follow: bool,
) -> None:
    partitions = await partitions_of(platform, LOG)
    tenant_id, wanted = criteria.tenant_id, criteria.predicate()
    numbers = range(partitions) if tenant_id is None else [home_partition(tenant_id, partitions)]
    async with committed_consumer(platform) as consumer:
        ranges = await ranges_of(consumer, LOG, numbers)
        show(await last_entries(consumer, ranges, count, wanted))
        if follow:
            async for record in records_from(consumer, {tp: held.end for tp, held in ranges.items()}):
                entry = _entry(record)
                if entry is not None and wanted(entry):
                    show([entry])


async def last_entries(
    consumer: AIOKafkaConsumer,
    ranges: Mapping[TopicPartition, OffsetRange],
    count: int,
    wanted: Callable[[AuditEntry], bool],
) -> list[AuditEntry]:
    """The last matching entries, in the order of stream time.

    All partitions are read backwards in growing steps, each until it cannot contain a later entry than those found.
    """
    found: list[AuditEntry] = []
    left = {tp: held.steps_back(count + FIRST_STEP_OFFSETS) for tp, held in ranges.items()} if count else {}
    while left:
        step = {tp: part for tp, steps in left.items() if (part := next(steps, None)) is not None}
        earliest: dict[int, str] = {}
        async for record in records_of(consumer, step):
            entry = _entry(record)
            if entry is not None:
                earliest.setdefault(record.partition, entry.at)
                if wanted(entry):
                    found.append(entry)
            if len(found) > 2 * count:
                found = _last(found, count)
        found = _last(found, count)
        enough = len(found) == count
        left = {
            tp: left[tp]
            for tp in step
            # Stream time never decreases within a partition.
            if not enough or earliest.get(tp.partition, found[0].at) >= found[0].at
        }
    return found


def _last(entries: list[AuditEntry], count: int) -> list[AuditEntry]:
    return sorted(entries, key=lambda entry: (entry.at, entry.shard, entry.sequence))[-count:]


def _entry(record: Any) -> AuditEntry | None:
    reason = "a tombstone"
    if record.value is not None:
        try:
            return decode(record.value)
        except Malformed as error:
            reason = printable(str(error))
    say(f"{record.topic}/{record.partition}/{record.offset} is not an entry: {reason}. Run `shieldx audit verify`")
    return None
