"""`shieldx audit heads`: the signed head of every shard, to be kept elsewhere."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap import Platform, knows_keyring
from shieldx.cli.audit.stored_heads import stored_heads
from shieldx.cli.audit.whole_file import STDOUT, output_option, whole_file
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import counted, say
from shieldx.settings import load_settings
from shieldx.verification.heads import judge

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@output_option
@click.pass_context
def command(ctx: click.Context, output: Path) -> None:
    """Print the signed head of every shard as JSON lines: keep them elsewhere, for `shieldx audit verify --heads FILE`.

    Where a keyring is known their signatures are checked.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.bootstrap):
        found = asyncio.run(stored_heads(platform))
    wrong = judge(found, platform.keyring).breaks if knows_keyring(platform.settings) else []
    left_out = {each.shard for each in wrong}
    with whole_file(output) as file:
        file.writelines((value or b"") + b"\n" for _, shard, value in found if shard not in left_out)
    for each in wrong:
        say(f"{each.detail}: left out. Run `shieldx audit verify`")
    if output != STDOUT:
        say(f"wrote {counted(len(found) - len(left_out), 'head')} to {output}")
    if wrong:
        ctx.exit(1)
