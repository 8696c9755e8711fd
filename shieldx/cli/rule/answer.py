"""What the agent answers to a rule that was put."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shieldx.cli.rule.caret import caret_lines
from shieldx.cli.rule.rule_file import CorrectRule
from shieldx.cli.stdout import json_wanted, print_json, printable, say
from shieldx.domains.shadow.messages import CommandCode
from shieldx.domains.shadow.rule import rule_hash
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from shieldx.domains.shadow.messages import CommandResult, PutRule


class LookAtLastVersion(ShieldXError):
    """Somebody has put another version since the one that this one was made from."""


def tell_answer(command: PutRule, result: CommandResult, *, as_json: bool) -> None:
    """Print the version that there is now.

    Raises:
        CorrectRule: the rule is unusable.
        LookAtLastVersion: another version is the last.
    """
    refuse(command, result)
    content = rule_hash(command.config)
    if json_wanted(as_json=as_json):
        print_json({"rule_id": command.rule_id, "version": result.version, "hash": content, "code": result.code})
    else:
        click.echo(f"{printable(command.rule_id)}@{result.version}  {content}")
    if result.code is CommandCode.UNCHANGED:
        say(f"version {result.version} says the same already")


def refuse(command: PutRule, result: CommandResult) -> None:
    """Raise what a refusal means to whoever put the rule."""
    named = f"rule {printable(command.rule_id)!r}"
    if result.code is CommandCode.UNUSABLE_RULE:
        raise CorrectRule("\n".join([f"{named}: {printable(str(result.detail))}", *caret_lines(command.config)]))
    if result.code is CommandCode.NOT_THE_LAST_VERSION:
        raise LookAtLastVersion(f"{named}: {result.detail}")
