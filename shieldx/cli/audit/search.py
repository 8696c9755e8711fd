"""`shieldx audit search`: finds entries in the mirror in Postgres."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.criteria import Criteria
from shieldx.cli.audit.entry_table import HEADINGS, entries_counted, row
from shieldx.cli.audit.masked_entry import printed_entry, unmasked_option
from shieldx.cli.audit.mirror import mirror
from shieldx.cli.audit.stream_time import from_option, to_option
from shieldx.cli.behind import end_if_incomplete
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table, say
from shieldx.domains.audit.projections import entry_of
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shieldx.cli.audit.mirror import EntryRow
    from shieldx.cli.behind import Behind
    from shieldx.domains.audit.entry import AuditEntry

DEFAULT_LIMIT = 100


@click.command()
@click.option("--tenant", "tenant_id", metavar="T", help="Only this tenant.")
@click.option("--actor", metavar="A", help="Only this actor.")
@click.option("--action", metavar="X", help="Only this action; `credits.*` matches a prefix.")
@click.option("--outcome", metavar="O", help="Only this outcome.")
@click.option("--subject", metavar="S", help="Only this subject.")
@from_option
@to_option
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Print at most the last N.",
)
@unmasked_option
@as_json
@click.pass_context
def command(ctx: click.Context, /, *, limit: int, unmasked: bool, as_json: bool, **given: Any) -> None:
    """Print entries from Postgres, newest last and with personal data masked, and the lag of the mirror.

    The exit code is 1 if a row was edited, or if records of the log are set aside.
    """
    criteria = Criteria(**given)
    if criteria == Criteria():
        raise click.UsageError("no criteria: use --tenant, --actor, --action, --outcome, --subject, --from or --to")
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    if not platform.knows_postgres:
        raise FixConfiguration(
            "no Postgres is configured: set SHIELDX_POSTGRES_DSN, or run `shieldx up`. `shieldx audit tail` "
            "reads the log itself, from its end"
        )
    printed = printed_entry(platform.settings, unmasked=unmasked)
    rows, behind = asyncio.run(_read(platform, criteria, limit + 1))
    edited: list[str] = []
    entries = list(map(printed, _entries(rows[-limit:], edited)))
    if json_wanted(as_json=as_json):
        for entry in entries:
            print_json(entry)
    else:
        print_table(HEADINGS, map(row, entries))
    for remark in edited:
        say(remark)
    if len(rows) > limit:
        say(f"the last {entries_counted(limit)}; --limit shows more")
    say(f"the mirror is {behind.log('log')}")
    if edited:
        ctx.exit(1)
    end_if_incomplete(behind.set_aside)


async def _read(platform: Platform, criteria: Criteria, limit: int) -> tuple[list[EntryRow], Behind]:
    async with mirror(platform) as found:
        return await found.last_rows(criteria, limit), await found.behind()


def _entries(rows: Iterable[EntryRow], edited: list[str]) -> Iterator[AuditEntry]:
    for found in rows:
        try:
            yield entry_of(found)
        except ValueError as error:
            edited.append(f"{found['shard']}/{found['sequence']} is skipped: {error}. Run `shieldx audit verify`")
