"""`shieldx audit export`: exports entries to a file that can be verified independently."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import click
from aiokafka.errors import KafkaError

from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.criteria import Criteria
from shieldx.cli.audit.entry_table import entries_counted
from shieldx.cli.audit.export_sources import in_kafka, in_postgres
from shieldx.cli.audit.mirror import mirror
from shieldx.cli.audit.sources import KAFKA, SOURCES
from shieldx.cli.audit.stored_heads import stored_heads
from shieldx.cli.audit.stream_time import from_option, to_option
from shieldx.cli.behind import end_if_incomplete
from shieldx.cli.committed_records import committed_consumer, partitions_of, ranges_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import counted, printable, say
from shieldx.cli.whole_file import output_option, whole_file
from shieldx.cli.work_progress import work_progress
from shieldx.domains.audit.breaks import Breaks
from shieldx.domains.audit.manifest import Filter
from shieldx.domains.audit.tables import LOG
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from shieldx.verification.export_writer import ExportWriter, NotExportable
from shieldx.verification.heads import NotGenuine, genuine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from shieldx.cli.audit.export_sources import Candidate
    from shieldx.domains.audit.breaks import Break
    from shieldx.keyring.keyring import Keyring

SHOWN = 20


class ExportResult(NamedTuple):
    """The result of an export."""

    entries: int
    left_out: list[Break]
    set_aside: int = 0
    """Records of the log that the mirror could not store."""


@click.command()
@output_option
@click.option("--tenant", metavar="T", help="Export only this tenant's entries.")
@from_option
@to_option
@click.option(
    "--source",
    type=SOURCES,
    default=KAFKA,
    show_default=True,
    help="Whether to read the log or its mirror.",
)
@click.pass_context
def command(
    ctx: click.Context, output: Path, tenant: str | None, start: datetime | None, end: datetime | None, source: str
) -> None:
    """Export entries as JSON lines with a signed manifest, for `shieldx audit verify --file FILE`.

    Entries appended during the export are not included. The exit code is 1 if some records cannot be exported, or are
    set aside by the mirror; the file contains all others.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    keys, criteria = platform.keyring, Criteria(tenant, start=start, end=end)
    export = _from_kafka if source == KAFKA else _from_postgres
    with named_kafka_errors(platform.connection), whole_file(output) as file:
        done = asyncio.run(export(platform, criteria, keys, file))
    say(f"exported {entries_counted(done.entries)}")
    for each in done.left_out[:SHOWN]:
        say(_left_out(each))
    if done.left_out:
        number = sum(each.entries for each in done.left_out)
        say(f"skipped {counted(number, 'record')} that cannot be exported. Run `shieldx audit verify`")
        ctx.exit(1)
    end_if_incomplete(done.set_aside)


async def _from_kafka(platform: Platform, criteria: Criteria, keys: Keyring, file: BinaryIO) -> ExportResult:
    key_id = await _signing_key(platform, keys)
    partitions = await partitions_of(platform, LOG)
    tenant_id = criteria.tenant_id
    numbers = range(partitions) if tenant_id is None else [home_partition(tenant_id, partitions)]
    unusable = Breaks()
    async with committed_consumer(platform) as consumer:
        ranges = await ranges_of(consumer, LOG, numbers)
        with work_progress("exporting") as progress:
            found = in_kafka(consumer, ranges, criteria.predicate(), unusable, progress)
            return await _write(found, criteria, keys, key_id, unusable, file)


async def _from_postgres(platform: Platform, criteria: Criteria, keys: Keyring, file: BinaryIO) -> ExportResult:
    try:
        key_id = await _signing_key(platform, keys)
    except (KafkaError, FixConfiguration) as error:
        key_id = keys.first
        say(f"cannot get the current signing key from Kafka ({error}); signing with the keyring's first key {key_id!r}")
    unusable = Breaks()
    async with mirror(platform) as found:
        behind = await found.behind()
        say(f"the mirror is {behind.log('log')}")
        done = await _write(in_postgres(found, criteria, unusable), criteria, keys, key_id, unusable, file)
        return done._replace(set_aside=behind.set_aside)


async def _write(
    found: AsyncIterator[Candidate], criteria: Criteria, keys: Keyring, key_id: str, unusable: Breaks, file: BinaryIO
) -> ExportResult:
    writer = ExportWriter(file)
    async for shard, place, entry, value in found:
        try:
            writer.add(shard, entry, value)
        except NotExportable as error:
            unusable.add(error.kind, shard, entry.sequence, place, str(error))
    chosen = Filter(tenant_id=criteria.tenant_id, start=criteria.start_text, end=criteria.end_text)
    writer.finish(chosen, keys, key_id)
    return ExportResult(writer.entries, list(unusable))


async def _signing_key(platform: Platform, keys: Keyring) -> str:
    """The id of the key that currently signs the log, from its last genuine head.

    Raises:
        MissingKey: The keyring does not contain the current signing key.
    """
    heads = []
    for _, shard, value in await stored_heads(platform):
        with suppress(NotGenuine):  # `shieldx audit verify` reports them
            heads.append(genuine(value, shard, keys))
    return max(heads, key=lambda head: head.at).next_key_id if heads else keys.first


def _left_out(each: Break) -> str:
    return printable(f"skipped {each.shard}/{each.sequences or '?'}, at {each.place}: {each.kind}, {each.detail}")
