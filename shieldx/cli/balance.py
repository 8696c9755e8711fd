"""`shieldx balance`: prints a tenant's current or past balance."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.behind import end_if_incomplete
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.moment import MomentType, rfc3339
from shieldx.cli.projected_account import projected_account
from shieldx.cli.stdout import as_json, print_json, printable
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.behind import Behind
    from shieldx.cli.moment import Moment


@click.command()
@click.argument("tenant")
@click.option("--at", "moment", type=MomentType(), help="A time, or an offset in credits.commands.")
@as_json
def command(tenant: str, moment: Moment | None, *, as_json: bool) -> None:
    """Print a tenant's balance from Postgres, and how far Postgres is behind the ledger.

    With --at, print the balance after the last movement up to then. Past reservations are not recorded. The exit code
    is 1 if records of the tenant's partition are set aside.
    """
    silence_aiokafka()
    found, behind = asyncio.run(_read(Platform(load_settings(os.environ)), tenant, moment))
    if as_json:
        print_json({"tenant_id": tenant, **found, "behind": behind})
    else:
        for name, value in [("tenant", printable(tenant)), *found.items(), ("this is", behind.log("ledger"))]:
            shown = f"{value:,}" if isinstance(value, int) else value or "none"
            click.echo(f"{name.replace('_', ' '):<17}{shown}")
    end_if_incomplete(behind.set_aside)


async def _read(platform: Platform, tenant: str, moment: Moment | None) -> tuple[dict[str, Any], Behind]:
    async with projected_account(platform, tenant) as account:
        figures = await account.figures()
        if moment is None:
            available = figures["balance"] - figures["reserved_funds"]
            return figures | {"available": available}, await account.behind()
        last = await account.balance_at(moment)
        if last is None:
            return {"balance": await account.opening(), "at": None, "transaction_id": None}, await account.behind()
        found = {"balance": last.balance, "at": rfc3339(last.at), "transaction_id": last.transaction_id}
        return found, await account.behind()
