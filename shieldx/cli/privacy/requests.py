"""`shieldx privacy requests`: lists the requests of subjects."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.rows import all_rows_of, rows_of
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, say
from shieldx.domains.privacy.tables import REQUESTS, RequestRow
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY_S = 86_400
DAY = len("2026-12-01")


@click.command()
@click.option("--tenant", "tenant_id", metavar="T", help="Only this tenant.")
@click.option("--all", "answered", is_flag=True, help="Also those that have been answered.")
@as_json
@click.pass_context
def command(ctx: click.Context, tenant_id: str | None, *, answered: bool, as_json: bool) -> None:
    """List the requests of subjects that wait for an answer, the most urgent first.

    The exit code is 1 if one is overdue.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        rows = asyncio.run(_read(platform, tenant_id))
    shown = sorted((row for row in rows if answered or row.answered_at is None), key=lambda row: row.due_at)
    if json_wanted(as_json=as_json):
        for row in shown:
            print_json(row)
    else:
        print_table(
            ("tenant", "request", "kind", "subject", "received", "due", "state"),
            [
                (
                    row.tenant_id,
                    row.request_id,
                    row.kind,
                    row.subject,
                    row.received_at[:DAY],
                    row.due_at[:DAY],
                    state(row),
                )
                for row in shown
            ],
            whole=("subject",),
        )
    late = overdue(rows, datetime.now(UTC))
    if late:
        say(f"{counted(len(late), 'request')} overdue: answer them now")
        ctx.exit(1)


def overdue(rows: Iterable[RequestRow], now: datetime) -> list[RequestRow]:
    """The requests that should have been answered by a time and were not."""
    return [row for row in rows if row.answered_at is None and datetime.fromisoformat(row.due_at) < now]


def state(row: RequestRow, now: datetime | None = None) -> str:
    """What a person wants to know of a request: the answer, or how long there is for one."""
    if row.answered_at is not None:
        return f"answered {row.answered_at[:DAY]}"
    left_s = (datetime.fromisoformat(row.due_at) - (now or datetime.now(UTC))).total_seconds()
    days = counted(int(abs(left_s) // DAY_S), "day")
    return f"{days} left" if left_s >= 0 else f"OVERDUE by {days}"


async def _read(platform: Platform, tenant_id: str | None) -> list[RequestRow]:
    if tenant_id is None:
        return await all_rows_of(platform, REQUESTS, RequestRow)
    return await rows_of(platform, REQUESTS, tenant_id, RequestRow)
