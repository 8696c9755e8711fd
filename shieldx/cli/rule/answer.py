"""The agent's answer to a rule that was put."""

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
    """Another version was put after the one that this version is based on.

    Look at the last version with `shieldx rule show`, and put yours again based on it.
    """


def tell_answer(command: PutRule, result: CommandResult, *, as_json: bool) -> None:
    """Print the resulting version.

    Raises:
        CorrectRule: The rule is unusable.
        LookAtLastVersion: Another version is the last one.
    """
    refuse(command, result)
    content = rule_hash(command.config)
    if json_wanted(as_json=as_json):
        print_json({"rule_id": command.rule_id, "version": result.version, "hash": content, "code": result.code})
    else:
        click.echo(f"{printable(command.rule_id)}@{result.version}  {content}")
    if result.code is CommandCode.UNCHANGED:
        say(f"version {result.version} already has this content")


def refuse(command: PutRule, result: CommandResult) -> None:
    """Raise the error for a refused rule."""
    named = f"rule {printable(command.rule_id)!r}"
    if result.code is CommandCode.UNUSABLE_RULE:
        raise CorrectRule("\n".join([f"{named}: {printable(str(result.detail))}", *caret_lines(command.config)]))
    if result.code is CommandCode.NOT_THE_LAST_VERSION:
        raise LookAtLastVersion(f"{named}: {result.detail}")
