"""`shieldx rule put`: creates a rule's next version from a file."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import click
from msgspec import UNSET

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.lines_of_input import open_input
from shieldx.cli.options import timeout_option
from shieldx.cli.rule.answer import tell_answer
from shieldx.cli.rule.rule_file import CorrectRule, read_rule
from shieldx.cli.shadow.commands import author_option, carry_out, check_commands
from shieldx.cli.stdout import as_json
from shieldx.domains.shadow.messages import PutRule
from shieldx.domains.shadow.rule import MAX_RULE_BYTES
from shieldx.settings import load_settings

MAX_FILE_BYTES = 4 * MAX_RULE_BYTES
"""The maximum size of a rule file, with generous whitespace."""


@click.command()
@click.argument("file")
@click.option("--tenant", "tenant_id", metavar="T", help="Tenant of the rule. Default: from the file.")
@click.option("--id", "rule_id", metavar="ID", help="The rule's id. Default: from the file.")
@click.option("--name", metavar="NAME", help="The rule's name. Default: from the file.")
@author_option
@click.option("--note", metavar="TEXT", default="", help="The reason for the new version.")
@click.option(
    "--parent", type=click.IntRange(0), metavar="N", help="Only if N is the last version; 0 if there is none."
)
@timeout_option
@as_json
def command(
    file: str,
    tenant_id: str | None,
    rule_id: str | None,
    name: str | None,
    parent: int | None,
    timeout_s: float,
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Store the rule in FILE as its next version, and print version and hash; `-` is stdin.

    The file contains a request for an evaluation, the output of `shieldx rule show --json`, or only a rule's content,
    which requires --id. A rule that equals its last version does not change.
    """
    silence_aiokafka()
    with open_input(file) as opened:
        content = opened.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise CorrectRule(f"the file exceeds {MAX_FILE_BYTES:,} bytes, the maximum for a rule")
    found = read_rule(content)
    rule_id = rule_id or found.rule_id
    if rule_id is None:
        raise click.UsageError("the file contains no rule id: specify --id")
    tenant_id = tenant_id or found.tenant_id
    if tenant_id is None:
        raise click.UsageError("the file contains no tenant: specify --tenant")
    platform = Platform(load_settings(os.environ))
    rule = PutRule(
        tenant_id=tenant_id,
        rule_id=rule_id,
        config=found.config,
        name=(found.name or "") if name is None else name,
        parent=UNSET if parent is None else parent,
        **said,
    )
    check_commands(platform, [rule])
    with named_kafka_errors(platform.connection):
        result = asyncio.run(carry_out(platform, rule, timeout_s))
    tell_answer(rule, result, as_json=as_json)
