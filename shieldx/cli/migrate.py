"""`shieldx migrate`: the schema in Postgres beside the migrations in migrations/."""

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
    """Bring the schema in Postgres up to date, say what it is, or take it back.

    Postgres is SHIELDX_POSTGRES_DSN, or else the one that `shieldx up` runs.
    """


@command.command("up")
@as_json
def up(*, as_json: bool) -> None:
    """Apply every migration that is pending, in order. Two at once wait for each other."""
    applied = asyncio.run(_schema()[1].up())
    _print(applied, "applied", as_json=as_json)


@command.command("status")
@as_json
@click.pass_context
def status(ctx: click.Context, *, as_json: bool) -> None:
    """List every migration; exit code 1 if the schema is not this program's."""
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
@click.option("--all", "all_of_them", is_flag=True, help="Take back all of them, not only the last one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def down(*, all_of_them: bool, yes: bool, as_json: bool) -> None:
    """Take back the last migration, with all data in what it made; sinks write it again from their topics."""
    place, schema = _schema()
    if not yes:
        if not sys.stdin.isatty():
            raise FixConfiguration(f"data in {place} would be deleted and there is no terminal to ask at; say --yes")
        if not click.confirm(f"Delete data in {place}?", err=True):
            say("nothing was taken back")
            return
    taken_back = asyncio.run(schema.down(None if all_of_them else 1))
    _print(taken_back, "took back", as_json=as_json)


def _schema() -> tuple[str, Schema]:
    """Where the database is, and its schema; no Kafka is needed for it."""
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
