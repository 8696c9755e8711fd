"""`shieldx privacy fields`: every field of every topic and table, what it is, and how long it lives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from shieldx.bootstrap.home import home
from shieldx.cli.privacy.fields_page import fields_page
from shieldx.cli.stdout import as_json, print_json, print_table
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.declarations.lifetime import lifetime
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.declarations.topic_fields import TopicField, columns_of, fields_of_topic
from shieldx.settings import Settings, load_settings

if TYPE_CHECKING:
    from shieldx.engine.declarations.declared import Declared

NOT_CLASSIFIED = "not classified"


class FieldRow(NamedTuple):
    """A field as it is shown."""

    stored_in: str
    """A topic, or a table in Postgres: `table credits.accounts`."""
    message: str
    field: str
    nature: str
    what: str
    protection: str
    lifetime: str


@click.command("fields")
@as_json
@click.option("--markdown", is_flag=True, help="Print docs/reference/privacy.md.")
def command(*, as_json: bool, markdown: bool) -> None:
    """Print every field of every topic, and every column in Postgres.

    Each is personal, secret or neither. Fields of extensions whose types have no classification are listed as not
    classified.
    """
    if markdown:
        click.echo(fields_page(load_declared(home(Settings()))))
        return
    settings = load_settings(os.environ)
    rows = field_rows(load_declared(home(settings), settings.extensions))
    if as_json:
        for row in rows:
            print_json(row._asdict())
    else:
        print_table(FieldRow._fields, rows)


def field_rows(declared: Declared) -> list[FieldRow]:
    """The fields of all topics, then the columns of all tables."""
    rows = [
        _row(name, field, lifetime(topic))
        for name, topic in sorted(declared.topics.items())
        for field in fields_of_topic(topic)
    ]
    for agent in declared.agents.values():
        for table in agent.into if isinstance(agent, Sink) else ():
            columns = columns_of(table, declared.topics)
            rows += [_row(f"table {table.name}", column, table.row_lifetime or "") for column in columns]
    return rows


def _row(stored_in: str, field: TopicField, lives: str) -> FieldRow:
    message, name, given = field
    if given is None:
        return FieldRow(stored_in, message, name, NOT_CLASSIFIED, "", "", lives)
    return FieldRow(stored_in, message, name, given.nature.value, given.what, given.protection, lives)
