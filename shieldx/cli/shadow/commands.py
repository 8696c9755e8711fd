"""Sends commands to the agent `shadow`, and waits for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import click
import msgspec

from shieldx.cli.asking import letter_about, open_asking
from shieldx.domains.shadow.messages import CommandCode, CommandResult, PutRule, SealSamples
from shieldx.domains.shadow.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.codec import CORRELATION_ID, Codec, Undecodable, encode
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.asking import Asking
    from shieldx.messages import Coordinates

Command = PutRule | SealSamples

tenant_option = click.option("--tenant", "tenant_id", metavar="T", required=True, help="The tenant.")
author_option = click.option("--author", metavar="NAME", help="Author of the change. Default: none.")
timeout_option = click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for the next answer.",
)


class CorrectCommand(ShieldXError):
    """The agent could not read or execute the command, and has dead-lettered it.

    Correct the command as the message says and send it again.
    """


def check_commands(platform: Platform, commands: Iterable[Command]) -> None:
    """Reject immediately what the agent could not read.

    Raises:
        click.UsageError: The message says what is wrong.
    """
    codec = Codec(platform.topics, [COMMANDS])
    try:
        for command in commands:
            codec.decode(COMMANDS, encode(command))
    except UnicodeEncodeError:
        raise click.UsageError("the options are not UTF-8") from None
    except Undecodable as error:
        raise click.UsageError(f"invalid command: {error}") from error


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
    async with open_asking(platform, tenant_id, [RESULTS, DEAD_LETTERS]) as asking:
        return await ask_all(asking, Codec(platform.topics, []), commands, timeout_s, answered)


async def ask_all(
    asking: Asking,
    codec: Codec,
    commands: Sequence[Command],
    timeout_s: float,
    answered: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[CommandResult]:
    """The same on an open connection whose response topics are RESULTS and DEAD_LETTERS."""
    sent: dict[bytes, Coordinates] = {}
    for command in commands:
        _, schema = codec.schema_header(type(command))
        correlation_id = uuid4().hex.encode()
        sent[correlation_id] = await asking.send(
            COMMANDS, command, schema=schema.decode(), correlation_id=correlation_id
        )
    results: dict[bytes, CommandResult] = {}
    answered(0, len(sent))
    async for record in asking.records(timeout_s):
        if record.topic == DEAD_LETTERS:
            letter = letter_about(record, sent.values())
            if letter is not None:
                raise CorrectCommand(f"the command was dead-lettered: {letter.reason}: {letter.detail}")
        elif (found := dict(record.headers).get(CORRELATION_ID)) in sent:
            result = msgspec.json.decode(record.value, type=CommandResult)
            # Anybody can bring about an unreadable result with this id; ours has a dead letter.
            if result.code is not CommandCode.UNREADABLE:
                results[found] = result
                answered(len(results), len(sent))
        if len(results) == len(sent):
            break
    return [results[each] for each in sent]
