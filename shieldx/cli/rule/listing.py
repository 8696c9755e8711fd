"""`shieldx rule list`: lists a tenant's rules, or the versions of one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option
from shieldx.cli.rule.versions import last_versions, rules_of, versions_of
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table
from shieldx.domains.shadow.rule import rule_type
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from typing import Any

    from shieldx.domains.shadow.tables import RuleRow

HEADINGS = ("rule", "version", "type", "name", "hash", "author", "at", "note")
SHOWN_DIGITS = 12


@click.command()
@click.argument("rule_id", metavar="[ID]", required=False)
@tenant_option
@as_json
def command(rule_id: str | None, tenant_id: str, *, as_json: bool) -> None:
    """Print the last version of each rule or, with ID, every version of that rule."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        rows = asyncio.run(rules_of(platform, tenant_id))
    shown = last_versions(rows) if rule_id is None else versions_of(rows, tenant_id, rule_id)
    if json_wanted(as_json=as_json):
        for row in shown:
            print_json(_in_brief(row))
    else:
        print_table(HEADINGS, [_cells(row) for row in shown], whole=("rule", "hash"))


def _in_brief(row: RuleRow) -> dict[str, Any]:
    known = msgspec.structs.asdict(row)
    del known["config"]
    return known | {"type": rule_type(row.config)}


def _cells(row: RuleRow) -> tuple[object, ...]:
    kind = rule_type(row.config)
    return row.rule_id, row.version, kind, row.name, row.hash[:SHOWN_DIGITS], row.author, row.at, row.note
