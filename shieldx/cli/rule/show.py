"""`shieldx rule show`: prints a version of a rule."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option
from shieldx.cli.rule.rule_text import json_lines
from shieldx.cli.rule.versions import RuleNameType, find_rule, rules_of
from shieldx.cli.stdout import as_json, json_wanted, print_json, printable
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.rule.versions import RuleName
    from shieldx.domains.shadow.tables import RuleRow


@click.command()
@click.argument("name", metavar="ID[@N]", type=RuleNameType())
@tenant_option
@as_json
def command(name: RuleName, tenant_id: str, *, as_json: bool) -> None:
    """Print a version of a rule, by default the last one."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        row = find_rule(asyncio.run(rules_of(platform, tenant_id)), tenant_id, name)
    if json_wanted(as_json=as_json):
        print_json(row)
    else:
        _print(row)


def _print(row: RuleRow) -> None:
    fields = msgspec.structs.asdict(row)
    del fields["config"]
    for field, value in fields.items():
        if value not in (None, ""):
            click.echo(f"{field.replace('_', ' '):<11}{printable(str(value))}")
    click.echo()
    for line in json_lines(row.config):
        click.echo(line)
