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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from shieldx.cli.audit.stored_heads import StoredHead


@click.command()
@output_option
@click.pass_context
def command(ctx: click.Context, output: Path) -> None:
    """Print the signed head of every shard as JSON lines: keep them elsewhere, for `shieldx audit verify --heads FILE`.

    Where a keyring is known their signatures are checked.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    keys = platform.keyring if knows_keyring(platform.settings) else None
    with named_kafka_errors(platform.bootstrap):
        found = asyncio.run(stored_heads(platform))
    wrong = _wrong(found, keys)
    with whole_file(output) as file:
        file.writelines(stored.value + b"\n" for stored in found if stored.shard not in wrong)
    for shard, reason in wrong.items():
        say(f"the head of shard {shard} is left out: it {reason}. Run `shieldx audit verify`")
    if output != STDOUT:
        say(f"wrote {counted(len(found) - len(wrong), 'head')} to {output}")
    if wrong:
        ctx.exit(1)


def _wrong(found: Iterable[StoredHead], keys: Mapping[str, bytes] | None) -> dict[int, str]:
    """Why a head is of no use, by shard."""
    wrong = {}
    for shard, _, head, reason in found:
        if head is None:
            wrong[shard] = reason
        elif keys is not None and head.next_key_id not in keys:
            wrong[shard] = f"is signed by key {head.next_key_id!r}, which the keyring has not"
        elif keys is not None and not head.is_genuine(keys):
            wrong[shard] = "was not signed by this log"
    return wrong
