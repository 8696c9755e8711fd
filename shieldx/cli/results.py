"""`shieldx results`: prints the ledger's results."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import UNSET

from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.result_rows import HEADINGS, row
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table, printable, say
from shieldx.domains.credits.messages import Result
from shieldx.domains.credits.tables import RESULTS
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Continue with new results until Ctrl-C.")
@click.option(
    "--from",
    "start",
    type=click.Choice(["beginning", "end"]),
    help="Where to start. Default: beginning; with --follow, end.",
)
@click.option("--tenant", metavar="T", help="Only this tenant.")
@as_json
def command(*, follow: bool, start: str | None, tenant: str | None, as_json: bool) -> None:
    """Print the committed results of commands and of expired holds."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    from_end = start == "end" or (follow and start is None)
    found: list[Result] = []
    if json_wanted(as_json=as_json):
        take: Callable[[Result], None] = print_json
    else:
        take = _print_line if follow else found.append
    with named_kafka_errors(platform.connection):
        asyncio.run(_read(platform, tenant, take, from_end=from_end, follow=follow))
    if found:
        found.sort(key=lambda result: result.at)
        print_table(HEADINGS, [row(result) for result in found])


async def _read(
    platform: Platform, tenant: str | None, take: Callable[[Result], None], *, from_end: bool, follow: bool
) -> None:
    count = await partitions_of(platform, RESULTS)
    numbers = range(count) if tenant is None else [home_partition(tenant, count)]
    decode = msgspec.json.Decoder(Result).decode
    async with committed_consumer(platform) as consumer:
        async for record in committed_records(consumer, RESULTS, numbers, from_end=from_end, follow=follow):
            try:
                result = decode(record.value or b"")
            except DECODE_ERRORS as error:
                say(f"{record.topic}/{record.partition}/{record.offset} is not a result: {error}")
                continue
            if tenant is None or result.tenant_id == tenant:
                take(result)


def _print_line(result: Result) -> None:
    """Print a line, since a table needs all rows to determine its column widths."""
    said = f"available {result.balance.available:,}" if result.balance is not UNSET else str(result.detail)
    columns = (result.at, result.tenant_id, result.type, result.code.value, said)
    click.echo(printable("  ".join(columns)))
