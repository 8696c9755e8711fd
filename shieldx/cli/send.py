"""`shieldx send`: sends commands from JSON lines, and prints their results."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.declared import declared
from shieldx.bootstrap.platform import Platform
from shieldx.cli.command_lines import CommandLines, CorrectLine
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.lines_of_input import lines_of, open_input
from shieldx.cli.result_rows import HEADINGS, row, summary
from shieldx.cli.sending import CommandPipeline, send_and_forget
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, say
from shieldx.client import Client, MakeItSmaller, SendAgain
from shieldx.domains.credits.messages import Code
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import BinaryIO

    from shieldx.cli.sending import Unanswered
    from shieldx.domains.credits.messages import Command, Result
    from shieldx.settings import Settings

MAX_NAMED = 10
"""How many lines, or runs of lines, a summary names."""


@click.command(epilog='A line: {"type":"consume","tenant_id":"org-1","idempotency_key":"k1","amount":7}')
@click.argument("file")
@click.option("--check", is_flag=True, help="Only check the lines; does not need Kafka.")
@click.option("--wait/--no-wait", default=True, help="Whether to wait for each command's result. Default: wait.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Maximum number of commands in flight.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for a result; a command is resent until then.",
)
@as_json
@click.pass_context
def command(
    ctx: click.Context, *, file: str, check: bool, wait: bool, concurrency: int, timeout_s: float, as_json: bool
) -> None:
    """Send commands from FILE, or from stdin if it is `-`: one JSON object per line.

    Results are printed in the order of the lines. An invalid line is reported and skipped; all other lines are sent.
    The summary names the lines that were not sent. Use --check first to send all or nothing. The exit code is 1 if a
    line was invalid, or a command got no result or could not be executed; refused commands have results like any other.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    commands = InputCommands(settings, open_input(file), sending=not check)
    if check:
        asyncio.run(_check(commands))
    elif wait:
        platform = Platform(settings)
        with named_kafka_errors(platform.connection):
            asyncio.run(_send(platform, commands, concurrency, timeout_s, as_json=json_wanted(as_json=as_json)))
    else:
        platform = Platform(settings)
        with named_kafka_errors(platform.connection):
            asyncio.run(_send_only(platform, commands))
    if commands.faults:
        ctx.exit(1)


class InputCommands:
    """The valid lines of an input. Invalid ones are reported as they are read."""

    def __init__(self, settings: Settings, file: BinaryIO, *, sending: bool) -> None:
        self._lines = CommandLines(declared(settings).topics)
        self._file = file
        self._sending = sending
        self._not_sent: list[int] = []
        self._without_result: list[int] = []

    @property
    def faults(self) -> int:
        """How many lines were not sent, or have no result."""
        return len(self._not_sent) + len(self._without_result)

    async def good(self) -> AsyncIterator[tuple[int, Command]]:
        """Yield commands with their line numbers."""
        number = 0
        try:
            async for number, line in lines_of(self._file):
                try:
                    command = self._lines.decode(number, line)
                except CorrectLine as error:
                    self.not_sent(number, str(error))
                else:
                    yield number, command
        except FixConfiguration as error:
            self.not_sent(number + 1, f"line {number + 1}: {error}; nothing from here on is read")

    def not_sent(self, number: int, fault: str) -> None:
        """Report a line that is not sent. The first report says what becomes of the other lines."""
        others = "; this line is not sent, but all good ones are" if self._sending and not self._not_sent else ""
        self._not_sent.append(number)
        say(fault + others)

    def without_result(self, number: int, fault: str) -> None:
        """Report a line whose command was sent and has no result, or one that says that it was unreadable."""
        self._without_result.append(number)
        say(f"line {number}: {fault}")

    def summary(self) -> str:
        """Which lines were not sent, and which have no result."""
        parts = ["", *(["not sent: " + _named(self._not_sent)] if self._not_sent else [])]
        parts += ["without a result: " + _named(self._without_result)] if self._without_result else []
        return "; ".join(parts)


def _named(numbers: Sequence[int]) -> str:
    """Lines by their numbers, for example `lines 2, 5-7 and 12`; of many, the first ones."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    if len(texts) > MAX_NAMED:
        more = sum(map(len, runs[MAX_NAMED:]))
        texts = [*texts[:MAX_NAMED], f"{more:,} more"]
    named = " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
    return f"{'line' if len(numbers) == 1 else 'lines'} {named}"


async def _check(commands: InputCommands) -> None:
    good = 0
    async for _ in commands.good():
        good += 1
    say(f"{counted(good, 'command')}, {counted(commands.faults, 'bad line')}; nothing was sent")


async def _send(
    platform: Platform, commands: InputCommands, concurrency: int, timeout_s: float, *, as_json: bool
) -> None:
    codes: Counter[str] = Counter()
    rows = []

    def answered(number: int, answer: Result | Unanswered) -> None:
        match answer:
            case MakeItSmaller():
                commands.not_sent(number, f"line {number}: {answer}")
                return
            case SendAgain():
                commands.without_result(number, str(answer))
                return
        if answer.code is Code.UNREADABLE:
            commands.without_result(number, f"the ledger could not execute the command: {answer.detail}")
        codes[answer.code.value] += 1
        if as_json:
            print_json(answer)
        else:
            rows.append(row(answer))

    await _check_topics(platform)
    async with Client(platform.connection) as client:
        await CommandPipeline(client, concurrency=concurrency, timeout_s=timeout_s).tell(commands.good(), answered)
    if rows:
        print_table(HEADINGS, rows)
    say(summary(codes) + commands.summary())


async def _send_only(platform: Platform, commands: InputCommands) -> None:
    await _check_topics(platform)
    sent = await send_and_forget(
        platform, commands.good(), lambda number, error: commands.not_sent(number, f"line {number}: {error}")
    )
    say(f"sent {counted(sent, 'command')}{commands.summary()}")


async def _check_topics(platform: Platform) -> None:
    """Report missing topics immediately, since a client would wait for them."""
    for topic in (COMMANDS, RESULTS):
        await partitions_of(platform, topic)
