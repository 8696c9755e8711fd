"""`shieldx audit heads`: prints the signed head of every shard for safekeeping."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.keyring_source import knows_keyring
from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.stored_heads import stored_heads
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import counted, say
from shieldx.cli.whole_file import STDOUT, output_option, whole_file
from shieldx.settings import load_settings
from shieldx.verification.heads import NotGenuine, genuine

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@output_option
@click.pass_context
def command(ctx: click.Context, output: Path) -> None:
    """Print the signed head of every shard as JSON lines. Keep them elsewhere for `shieldx audit verify --heads FILE`.

    If a keyring is configured, the signatures are checked.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        found = asyncio.run(stored_heads(platform))
    keys = platform.keyring if knows_keyring(platform.settings) else None
    left_out = 0
    with whole_file(output) as file:
        for where, shard, value in found:
            try:
                if keys is not None:
                    genuine(value, shard, keys)
                file.write((value or b"") + b"\n")
            except NotGenuine as error:
                left_out += 1
                say(f"{where} {error}: skipped. Run `shieldx audit verify`")
    if output != STDOUT:
        say(f"wrote {counted(len(found) - left_out, 'head')} to {output}")
    if left_out:
        ctx.exit(1)
