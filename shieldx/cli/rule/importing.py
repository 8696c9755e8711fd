"""`shieldx rule import`: imports the rules of the OWASP Core Rule Set."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.lines_of_input import open_input
from shieldx.cli.options import tenant_option, timeout_option
from shieldx.cli.shadow.commands import author_option, carry_out_all, check_commands
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, say
from shieldx.cli.work_progress import work_progress
from shieldx.domains.shadow.messages import PutRule
from shieldx.importers.crs_rules import NotEvaluable, read_crs_rules
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.shadow.messages import CommandResult


class Imported(msgspec.Struct, frozen=True):
    """The result for a rule: its version, or why it has none."""

    rule_id: str
    version: int | str | None = None
    code: str | None = None
    reason: str | None = None


@click.command()
@click.argument("file")
@tenant_option
@author_option
@click.option("--note", metavar="TEXT", default="", help="The reason for the new versions.")
@timeout_option
@as_json
def command(file: str, tenant_id: str, author: str | None, note: str, timeout_s: float, *, as_json: bool) -> None:
    """Import the rules in FILE, a JSON list, each with its own id, and list those that cannot be evaluated.

    A rule that equals its last version does not change, so a file may be imported again.
    """
    silence_aiokafka()
    with open_input(file) as opened:
        found = read_crs_rules(opened.read())
    without = [Imported(each.rule_id, reason=each.reason) for each in found if isinstance(each, NotEvaluable)]
    rules = [
        PutRule(tenant_id=tenant_id, rule_id=each.rule_id, config=each.config, name=each.name, author=author, note=note)
        for each in found
        if not isinstance(each, NotEvaluable)
    ]
    platform = Platform(load_settings(os.environ))
    check_commands(platform, rules)
    with named_kafka_errors(platform.connection):
        results = asyncio.run(_put(platform, tenant_id, rules, timeout_s))
    _tell([_imported(result) for result in results], without, as_json=as_json)


async def _put(
    platform: Platform, tenant_id: str, rules: Sequence[PutRule], timeout_s: float
) -> Sequence[CommandResult]:
    if not rules:
        return []
    with work_progress("putting rules") as answered:
        return await carry_out_all(platform, tenant_id, rules, timeout_s, answered)


def _imported(result: CommandResult) -> Imported:
    return Imported(result.subject, result.version, result.code.value, result.detail)


def _tell(put: Sequence[Imported], without: Sequence[Imported], *, as_json: bool) -> None:
    """Print every rule as JSON; for people only those without a version."""
    if json_wanted(as_json=as_json):
        for each in (*put, *without):
            print_json(each)
    else:
        refused = [each for each in put if each.version is None]
        print_table(("rule", "reason"), [(each.rule_id, each.reason) for each in (*refused, *without)])
    codes = ", ".join(f"{count:,} {code}" for code, count in Counter(each.code for each in put).most_common())
    say(
        f"put {counted(len(put), 'rule')}" + (f": {codes}" if codes else "") + f"; {len(without):,} cannot be evaluated"
    )
