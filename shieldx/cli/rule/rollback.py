"""`shieldx rule rollback`: restores an earlier version as the next version."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.rule.answer import tell_answer
from shieldx.cli.rule.versions import RuleName, RuleNameType, find_rule, rules_of
from shieldx.cli.shadow.commands import author_option, carry_out, check_commands
from shieldx.cli.stdout import as_json
from shieldx.domains.shadow.messages import PutRule
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.domains.shadow.messages import CommandResult


@click.command()
@click.argument("name", metavar="ID@N", type=RuleNameType(needs_version=True))
@tenant_option
@author_option
@click.option("--note", metavar="TEXT", help="The reason. Default: a note about the rollback.")
@timeout_option
@as_json
def command(
    name: RuleName, tenant_id: str, author: str | None, note: str | None, timeout_s: float, *, as_json: bool
) -> None:
    """Store the content and name of version N as the next version; nothing is deleted.

    This is refused if another version is put at the same time.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        rule, result = asyncio.run(_roll_back(platform, tenant_id, name, author, note, timeout_s))
    tell_answer(rule, result, as_json=as_json)


async def _roll_back(
    platform: Platform, tenant_id: str, name: RuleName, author: str | None, note: str | None, timeout_s: float
) -> tuple[PutRule, CommandResult]:
    rows = await rules_of(platform, tenant_id)
    earlier = find_rule(rows, tenant_id, name)
    rule = PutRule(
        tenant_id=tenant_id,
        rule_id=name.rule_id,
        config=earlier.config,
        name=earlier.name,
        author=author,
        parent=find_rule(rows, tenant_id, RuleName(name.rule_id, None)).version,
        note=f"rollback to version {name.version}" if note is None else note,
    )
    check_commands(platform, [rule])
    return rule, await carry_out(platform, rule, timeout_s)
