"""`shieldx privacy rewrap`: wraps all data keys with the current key-encryption key."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import timeout_option
from shieldx.cli.privacy.commands import carry_out_all
from shieldx.cli.rows import all_rows_of
from shieldx.cli.stdout import counted, printable, say
from shieldx.domains.privacy.messages import Code, Rewrap
from shieldx.domains.privacy.tables import KEYS, SubjectKeys
from shieldx.privacy.key_encryption import WrappedKey
from shieldx.privacy.key_id import DataKeyId
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.privacy.key_encryption import KeyEncryption

COMMANDS_AT_A_TIME = 500


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print how many keys are wrapped by which key-encryption key.")
@timeout_option
@click.pass_context
def command(ctx: click.Context, timeout_s: float, *, dry_run: bool) -> None:
    """Wrap every data key with the current key-encryption key; nothing that they sealed changes.

    Run it after you have made another key-encryption key the current one. When it ends with exit code 0, no data key
    needs the former one any more. It can be interrupted and run again.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        left = asyncio.run(_rewrap(platform, timeout_s, dry_run=dry_run))
    if left:
        ctx.exit(1)


async def _rewrap(platform: Platform, timeout_s: float, *, dry_run: bool) -> int:
    """Returns how many keys could not be wrapped."""
    keks = key_encryption(platform.settings)
    current = await keks.current_kek_id()
    rows = await all_rows_of(platform, KEYS, SubjectKeys)
    wrapped_by = [key.kek_id for row in rows for key in row.keys]
    for kek_id in sorted(set(wrapped_by)):
        note = " (the current one)" if kek_id == current else ""
        click.echo(f"{counted(wrapped_by.count(kek_id), 'data key')} wrapped by {printable(kek_id)}{note}")
    if dry_run:
        return 0
    by_tenant: dict[str, list[SubjectKeys]] = {}
    for row in rows:
        by_tenant.setdefault(row.tenant_id, []).append(row)
    done = left = 0
    for tenant_id, of_tenant in by_tenant.items():
        commands = [command for row in of_tenant for command in await _commands(keks, current, row)]
        for start in range(0, len(commands), COMMANDS_AT_A_TIME):
            some = commands[start : start + COMMANDS_AT_A_TIME]
            codes = [result.code for result in await carry_out_all(platform, tenant_id, some, timeout_s)]
            done += codes.count(Code.OK)
            left += codes.count(Code.WRAPPED_OTHERWISE)  # a key that was erased meanwhile needs no wrapping
    say(f"wrapped {counted(done, 'data key')} with {printable(current)}")
    if left:
        say(f"{counted(left, 'data key')} wrapped by somebody else meanwhile: run it again")
    return left


async def _commands(keks: KeyEncryption, current: str, row: SubjectKeys) -> Sequence[Rewrap]:
    commands = []
    for key in row.keys:
        if key.kek_id == current:
            continue
        name = DataKeyId(row.tenant_id, row.subject, key.key)
        again = await keks.rewrap(WrappedKey(key.kek_id, key.wrapped), name)
        commands.append(
            Rewrap(
                tenant_id=row.tenant_id,
                subject=row.subject,
                key=key.key,
                from_kek_id=key.kek_id,
                kek_id=again.kek_id,
                wrapped=again.wrapped,
            )
        )
    return commands
