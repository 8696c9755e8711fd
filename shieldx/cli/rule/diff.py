"""`shieldx rule diff`: prints the differences between two versions."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option
from shieldx.cli.rule.rule_text import diff_lines
from shieldx.cli.rule.versions import RuleNameType, find_rule, rules_of
from shieldx.cli.stdout import say
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.rule.versions import RuleName


@click.command()
@click.argument("before", metavar="ID[@A]", type=RuleNameType())
@click.argument("after", metavar="ID[@B]", type=RuleNameType())
@tenant_option
def command(before: RuleName, after: RuleName, tenant_id: str) -> None:
    """Print a unified diff of the JSON of two versions."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        rows = asyncio.run(rules_of(platform, tenant_id))
    lines = list(diff_lines(find_rule(rows, tenant_id, before), find_rule(rows, tenant_id, after)))
    for line in lines:
        click.echo(line)
    if not lines:
        say("no differences")
