"""`shieldx migrate`: compares the schema in Postgres with migrations/, and updates it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.postgres import postgres_dsn, schema_at
from shieldx.bootstrap.stack_file import read_stack_file
from shieldx.cli.stdout import as_json, counted, print_json, print_table, say
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from shieldx.sinks.database import place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.sinks.schema import Schema


@click.group()
def command() -> None:
    """Update, show or roll back the schema in Postgres.

    Postgres is SHIELDX_POSTGRES_DSN or, if unset, the one that `shieldx up` runs.
    """


@command.command("up")
@as_json
def up(*, as_json: bool) -> None:
    """Apply all pending migrations in order. Concurrent runs wait for each other."""
    applied = asyncio.run(_schema()[1].up())
    _print(applied, "applied", as_json=as_json)


@command.command("status")
@as_json
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """List every migration. The exit code is 1 if the schema belongs to another version."""
    state = asyncio.run(_schema()[1].state())
    rows = [(name, "applied" if name in state.applied else "pending") for name in state.known]
    rows += [(name, "applied, unknown to this version") for name in state.unknown]
    if as_json:
        for name, what in rows:
            print_json({"migration": name, "state": what})
    else:
        print_table(("migration", "state"), rows)
    if state.pending or state.unknown:
        ctx.exit(1)


@command.command("down")
@click.option("--all", "all_of_them", is_flag=True, help="Roll back all migrations, not only the last one.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
def down(*, all_of_them: bool, yes: bool, as_json: bool) -> None:
    """Roll back the last migration and delete its tables with all data; sinks restore the data from their topics."""
    place, schema = _schema()
    if not yes:
        if not sys.stdin.isatty():
            raise FixConfiguration(f"this would delete data in {place}; use --yes to confirm without a terminal")
        if not click.confirm(f"Delete data in {place}?", err=True):
            say("nothing was rolled back")
            return
    taken_back = asyncio.run(schema.down(None if all_of_them else 1))
    _print(taken_back, "rolled back", as_json=as_json)


def _schema() -> tuple[str, Schema]:
    """The database's location and its schema. Does not need Kafka."""
    settings = load_settings(os.environ)
    stack = None if settings.kafka_bootstrap else read_stack_file(settings)
    dsn = postgres_dsn(settings, stack.postgres if stack else None)
    return place_of(dsn), schema_at(settings, dsn)


def _print(names: Sequence[str], done: str, *, as_json: bool) -> None:
    for name in names:
        if as_json:
            print_json({"migration": name})
        else:
            click.echo(name)
    say(f"{done} {counted(len(names), 'migration')}")
