"""Sends messages to the agent `privacy`, and waits for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli import asking
from shieldx.domains.privacy.messages import AnswerRequest, Code, Erase, OpenRequest, Result, Rewrap
from shieldx.domains.privacy.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.codec import Codec
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.bootstrap.platform import Platform

Command = Erase | Rewrap | OpenRequest | AnswerRequest


class LookAtRequests(ShieldXError):
    """The request does not exist, was answered before, or its id is that of another one.

    Look at the requests with `shieldx privacy requests --all`.
    """


def _fits(command: Command, result: Result) -> bool:
    same = (result.tenant_id, result.type) == (command.tenant_id, command.__struct_config__.tag)
    about = getattr(command, "subject", result.subject)
    # An unreadable result with this id can be anybody's; ours has a dead letter.
    return same and result.subject == about and result.code is not Code.UNREADABLE


ANSWERS = asking.Answers[Command, Result](Result, _fits)


async def carry_out(platform: Platform, command: Command, timeout_s: float) -> Result:
    """The answer to one command. Raises the errors of `carry_out_all`."""
    (result,) = await carry_out_all(platform, command.tenant_id, [command], timeout_s)
    return result


async def carry_out_all(
    platform: Platform, tenant_id: str, commands: Sequence[Command], timeout_s: float
) -> list[Result]:
    """The answers to commands of one tenant, in order.

    Raises:
        click.UsageError: The agent could not read a command.
        CorrectCommand: One was set aside as a dead letter.
        StartAgent: No answer has come for `timeout_s`.
        FixConfiguration: A topic does not exist.
        KafkaError: See `named_kafka_errors`.
    """
    asking.check_commands(platform, COMMANDS, commands)
    async with asking.open_asking(platform, tenant_id, [RESULTS, DEAD_LETTERS]) as connection:
        return await asking.ask_all(connection, Codec(platform.topics, []), COMMANDS, commands, ANSWERS, timeout_s)


def refuse(result: Result) -> Result:
    """The result of a command about a request, if it was carried out.

    Raises:
        LookAtRequests: It was refused.
    """
    if result.code is not Code.OK:
        raise LookAtRequests(f"{result.code}: {result.detail}")
    return result
