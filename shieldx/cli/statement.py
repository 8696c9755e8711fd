"""`shieldx statement`: prints a tenant's account statement."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

import click

from shieldx.bootstrap.masking import masker_of
from shieldx.bootstrap.platform import Platform
from shieldx.cli.behind import end_if_incomplete
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.moment import MomentType, rfc3339
from shieldx.cli.projected_account import Movement, projected_account
from shieldx.cli.stdout import as_json, counted, print_json, print_table, printable, say
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.behind import Behind
    from shieldx.cli.moment import Moment
    from shieldx.privacy.masker import Masker

LONGEST_TEXT = 48
DEFAULT_LIMIT = 100


class Statement(NamedTuple):
    """Movements in the order of the ledger, and the balance before the first one."""

    opening: int
    movements: list[Movement]
    cut: bool
    """Whether there are earlier movements in the same period."""
    behind: Behind

    @property
    def closing(self) -> int:
        """The balance after the last movement."""
        return self.movements[-1].balance if self.movements else self.opening


@click.command()
@click.argument("tenant")
@click.option("--from", "start", type=MomentType(), help="Start: a time, or an offset in credits.commands.")
@click.option("--to", "end", type=MomentType(), help="End, included: a time or an offset.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Print at most the last N movements.",
)
@as_json
def command(tenant: str, start: Moment | None, end: Moment | None, limit: int, *, as_json: bool) -> None:
    """Print a tenant's movements of credits with the running balance, and how far Postgres is behind the ledger.

    Descriptions are masked, also by rules of your own, which the ledger does not know.
    The exit code is 1 if records of the tenant's partition are set aside.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    masker = masker_of(settings)
    statement = _masked(asyncio.run(_read(Platform(settings), tenant, start, end, limit)), masker)
    if as_json:
        print_json({"tenant_id": tenant, "opening": statement.opening})
        for movement in statement.movements:
            print_json(movement._asdict() | {"at": rfc3339(movement.at)})
        print_json({"tenant_id": tenant, "closing": statement.closing, "behind": statement.behind})
    else:
        _print(tenant, statement)
    if statement.cut:
        say(f"the last {counted(limit, 'movement')} of the period; --limit shows more")
    end_if_incomplete(statement.behind.set_aside)


async def _read(platform: Platform, tenant: str, start: Moment | None, end: Moment | None, limit: int) -> Statement:
    async with projected_account(platform, tenant) as account:
        await account.figures()
        found = await account.movements(start=start, end=end, limit=limit + 1)
        shown = found[-limit:]
        if shown:
            opening = shown[0].balance - shown[0].amount
        else:
            before = None if start is None else await account.before(start)
            opening = await account.opening() if before is None else before
        return Statement(opening, shown, len(found) > limit, await account.behind())


def _masked(statement: Statement, masker: Masker) -> Statement:
    movements = [
        movement._replace(description=masker.mask(movement.description)) if movement.description else movement
        for movement in statement.movements
    ]
    return statement._replace(movements=movements)


def _print(tenant: str, statement: Statement) -> None:
    click.echo(f"Account statement of {printable(tenant)}\n")
    rows: list[tuple[object, ...]] = [(None, "opening balance", None, None, statement.opening)]
    rows += [
        (
            rfc3339(movement.at),
            _what(movement),
            -movement.amount if movement.amount < 0 else None,
            movement.amount if movement.amount >= 0 else None,
            movement.balance,
        )
        for movement in statement.movements
    ]
    debit = -sum(movement.amount for movement in statement.movements if movement.amount < 0)
    credit = sum(movement.amount for movement in statement.movements if movement.amount > 0)
    rows.append((None, "closing balance", debit, credit, statement.closing))
    print_table(("date", "what", "debit", "credit", "balance"), rows)
    click.echo(f"\nThis is {statement.behind.log('ledger')}.")


def _what(movement: Movement) -> str:
    """A text such as `consume 3-17: description`, cut to one line."""
    refunded = f" of {movement.refunds}" if movement.refunds else ""
    text = f"{movement.type} {movement.transaction_id}{refunded}"
    if movement.description:
        text += f": {printable(movement.description)}"
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
