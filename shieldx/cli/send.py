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
from shieldx.client import Client, SendAgain
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import BinaryIO

    from shieldx.domains.credits.messages import Command, Result
    from shieldx.settings import Settings


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
    Use --check first to send all or nothing. The exit code is 1 if a line was invalid or a command got no result;
    refused commands have results like any other.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    commands = InputCommands(settings, open_input(file))
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
    """The valid lines of an input. Invalid ones are reported as they are read, and counted."""

    def __init__(self, settings: Settings, file: BinaryIO) -> None:
        self._lines = CommandLines(declared(settings).topics)
        self._file = file
        self.faults = 0

    async def good(self) -> AsyncIterator[tuple[int, Command]]:
        """Yield commands with their line numbers."""
        async for number, line in lines_of(self._file):
            try:
                yield number, self._lines.decode(number, line)
            except CorrectLine as error:
                self.report(str(error))

    def report(self, fault: str) -> None:
        """Report the fault of a line."""
        self.faults += 1
        say(fault)


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

    def answered(number: int, answer: Result | SendAgain) -> None:
        if isinstance(answer, SendAgain):
            commands.report(f"line {number}: {answer}")
            return
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
    say(summary(codes) + (f"; {counted(commands.faults, 'line')} without a result" if commands.faults else ""))


async def _send_only(platform: Platform, commands: InputCommands) -> None:
    await _check_topics(platform)
    number = await send_and_forget(platform, commands.good())
    say(f"sent {counted(number, 'command')}")


async def _check_topics(platform: Platform) -> None:
    """Report missing topics immediately, since a client would wait for them."""
    for topic in (COMMANDS, RESULTS):
        await partitions_of(platform, topic)
