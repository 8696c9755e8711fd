"""Sends commands to the agent `shadow`, and waits for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shieldx.cli import asking
from shieldx.domains.shadow.messages import CommandCode, CommandResult, PutRule, SealSamples
from shieldx.domains.shadow.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.codec import Codec
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.asking import Asking

Command = PutRule | SealSamples

author_option = click.option("--author", metavar="NAME", help="Author of the change. Default: none.")
ANSWERS = asking.Answers[Command, CommandResult](
    CommandResult,
    # An unreadable result with this id can be anybody's; ours has a dead letter.
    lambda command, result: result.tenant_id == command.tenant_id and result.code is not CommandCode.UNREADABLE,
)


def check_commands(platform: Platform, commands: Iterable[Command]) -> None:
    """Reject immediately what the agent could not read.

    Raises:
        click.UsageError: The message says what is wrong.
    """
    asking.check_commands(platform, COMMANDS, commands)


async def carry_out(platform: Platform, command: Command, timeout_s: float) -> CommandResult:
    """The answer to one command. Raises the errors of `carry_out_all`."""
    (result,) = await carry_out_all(platform, command.tenant_id, [command], timeout_s)
    return result


async def carry_out_all(
    platform: Platform,
    tenant_id: str,
    commands: Sequence[Command],
    timeout_s: float,
    answered: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[CommandResult]:
    """The answers to commands of one tenant, in order. `answered` gets the current and the total number.

    Raises:
        CorrectCommand: one was set aside as a dead letter.
        StartAgent: no answer has come for `timeout_s`.
        FixConfiguration: a topic does not exist.
        KafkaError: see `named_kafka_errors`. Commands before the one that failed may have been sent.
    """
    async with asking.open_asking(platform, tenant_id, [RESULTS, DEAD_LETTERS]) as connection:
        return await ask_all(connection, Codec(platform.topics, []), commands, timeout_s, answered)


async def ask_all(
    connection: Asking,
    codec: Codec,
    commands: Sequence[Command],
    timeout_s: float,
    answered: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[CommandResult]:
    """The same on an open connection whose response topics are RESULTS and DEAD_LETTERS."""
    return await asking.ask_all(connection, codec, COMMANDS, commands, ANSWERS, timeout_s, answered)
