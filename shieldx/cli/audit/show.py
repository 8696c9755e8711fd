"""`shieldx audit show`: prints one entry with all its fields."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.entry_check import check_entry
from shieldx.cli.audit.entry_id import EntryIdType
from shieldx.cli.audit.entry_in_kafka import find_entry, last_entry
from shieldx.cli.audit.entry_sheet import print_entry
from shieldx.cli.audit.masked_entry import printed_entry, unmasked_option
from shieldx.cli.audit.mirror import mirror
from shieldx.cli.audit.sources import KAFKA, POSTGRES, SOURCES
from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import as_json, json_wanted, print_json, printable, say
from shieldx.domains.audit.projections import TABLE, entry_of
from shieldx.domains.audit.tables import LOG
from shieldx.errors import ShieldXError
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.audit.entry_id import EntryId
    from shieldx.domains.audit.entry import AuditEntry


class CheckTheEntry(ShieldXError):
    """The entry does not exist, or has been edited.

    Check the shard and the sequence number, or verify the log with `shieldx audit verify`.
    """


class Shown(NamedTuple):
    """An entry, where it was read, and what is wrong with its location."""

    entry: AuditEntry
    read_from: str
    remark: str | None = None


@click.command()
@click.argument("entry_id", metavar="SHARD/SEQUENCE", type=EntryIdType())
@click.option(
    "--from",
    "source",
    type=SOURCES,
    help="Where to read it. Default: Postgres, if configured.",
)
@unmasked_option
@as_json
@click.pass_context
def command(ctx: click.Context, entry_id: EntryId, source: str | None, *, unmasked: bool, as_json: bool) -> None:
    """Print one entry with every field, personal data masked, and whether its hash and signature are right."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    printed = printed_entry(platform.settings, unmasked=unmasked)
    if source is None:
        source = POSTGRES if platform.knows_postgres else KAFKA
    with named_kafka_errors(platform.connection):
        shown = asyncio.run((_in_postgres if source == POSTGRES else _in_kafka)(platform, entry_id))
    check, entry = check_entry(platform, shown.entry), printed(shown.entry)
    if json_wanted(as_json=as_json):
        print_json({"entry": entry, "read_from": shown.read_from, **msgspec.structs.asdict(check)})
    else:
        print_entry(entry, shown.read_from, check)
    if shown.remark is not None:
        say(f"{shown.remark}. Run `shieldx audit verify`")
    if check.is_wrong or shown.remark is not None:
        ctx.exit(1)


async def _in_postgres(platform: Platform, entry_id: EntryId) -> Shown:
    async with mirror(platform) as found:
        rows = await found.rows_of(entry_id)
        if not rows:
            last, behind = await found.last_sequence(entry_id.shard), (await found.behind()).log("log")
            far = (
                f"has no entries of shard {entry_id.shard}"
                if last is None
                else f"has shard {entry_id.shard} up to {last}"
            )
            raise CheckTheEntry(
                f"{entry_id} is not in the mirror, which {far} and is {behind}. Use --from kafka to read the log"
            )
    try:
        entry = entry_of(rows[0])
    except ValueError as error:
        raise CheckTheEntry(
            f"{entry_id} has been edited in Postgres: {error}. Use --from kafka to read the log"
        ) from error
    return Shown(entry, TABLE, None if len(rows) == 1 else f"{entry_id} has {len(rows)} rows; this is the first")


async def _in_kafka(platform: Platform, entry_id: EntryId) -> Shown:
    partitions = await partitions_of(platform, LOG)
    if entry_id.shard >= partitions:
        raise CheckTheEntry(f"shard {entry_id.shard} does not exist: {LOG} has shards 0 to {partitions - 1}")
    async with committed_consumer(platform) as consumer:
        found = await find_entry(consumer, entry_id)
        last = None if found is not None else await last_entry(consumer, entry_id.shard)
    if found is None:
        if last is None:
            raise CheckTheEntry(f"shard {entry_id.shard} has no entries yet")
        if entry_id.sequence > last.sequence:
            raise CheckTheEntry(
                f"{entry_id} does not exist: shard {entry_id.shard} ends at {last.sequence}, {printable(last.at)}"
            )
        raise CheckTheEntry(
            f"{entry_id} was not found although shard {entry_id.shard} ends at {last.sequence}: the log is damaged. "
            "Run `shieldx audit verify`"
        )
    place = f"{LOG}/{entry_id.shard}/{found.offset}"
    misplaced = found.key != str(entry_id).encode() or found.entry.shard != entry_id.shard
    return Shown(found.entry, place, f"{place} has the key or partition of another entry" if misplaced else None)
