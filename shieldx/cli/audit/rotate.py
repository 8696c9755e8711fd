"""`shieldx audit rotate`: makes another key sign from now on."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.keyring_source import knows_keyring
from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.chaining import Outgoing, send_and_await
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.moment import rfc3339
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table, printable, say
from shieldx.cli.user_name import user_name
from shieldx.domains.audit.entry import AuditEntry
from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.tables import ROTATIONS
from shieldx.engine.tasks.codec import Codec, encode
from shieldx.errors import FixConfiguration
from shieldx.messages import DeadLetter
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.cli.audit.chaining import Fate

SILENCE = "no response in time: the audit agent may not be running; it will chain the rotation once it runs"


class AddKey(FixConfiguration):
    """The keyring configured for this command does not contain the key.

    Add the key with `shieldx audit keys add`, also to the keyring of the workers.
    """


class Shard(msgspec.Struct, frozen=True):
    """The result of a shard's rotation: its sequence number, or the reason for its failure."""

    shard: int
    sequence: int | None = None
    reason: str | None = None


@click.command()
@click.argument("key_id")
@click.option("--actor", metavar="NAME", help="Name of the actor in the entry. Default: your user name.")
@click.option(
    "--timeout-s",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for all shards.",
)
@as_json
@click.pass_context
def command(ctx: click.Context, *, key_id: str, actor: str | None, timeout_s: float, as_json: bool) -> None:
    """Sign every shard with the key KEY_ID from now on.

    The rotation is itself an entry, the last one signed with the old key. First give every audit agent a keyring that
    contains the new key, and restart it. The exit code is 1 if a shard still signs with its old key, or if its state is
    unknown.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    platform = Platform(settings)
    if not knows_keyring(settings):
        say("this command has no keyring configured; the workers check whether the key exists")
    elif key_id not in platform.keyring:
        raise AddKey(
            f"key {printable(key_id)!r} is not in the keyring, which has {', '.join(platform.keyring)}: add it with "
            "`shieldx audit keys add`, and restart the audit agents with it"
        )
    with named_kafka_errors(platform.connection):
        shards = asyncio.run(_rotate(platform, key_id, actor or user_name(), timeout_s))
    if json_wanted(as_json=as_json):
        for shard in shards:
            print_json(shard)
    else:
        print_table(Shard.__struct_fields__, [[shard.shard, shard.sequence, shard.reason] for shard in shards])
    if any(shard.sequence is None for shard in shards):
        ctx.exit(1)


async def _rotate(platform: Platform, key_id: str, actor: str, timeout_s: float) -> list[Shard]:
    codec = Codec(platform.topics, [ROTATIONS])
    at = rfc3339(datetime.now(UTC))
    records = {
        number: Outgoing(
            None,
            encode(Rotate(partition=number, key_id=key_id, actor=actor, at=at)),
            codec.schema_header(Rotate),
        )
        for number in range(await partitions_of(platform, ROTATIONS))
    }
    fates = await send_and_await(platform, ROTATIONS, records, timeout_s)
    return [_shard(number, fates.get(number)) for number in records]


def _shard(number: int, fate: Fate | None) -> Shard:
    match fate:
        case AuditEntry(sequence=sequence):
            return Shard(number, sequence=sequence)
        case DeadLetter(reason=reason, detail=detail):
            return Shard(number, reason=f"{reason}: {detail}")
        case None:
            return Shard(number, reason=SILENCE)
    return Shard(number, reason="the agent skipped the rotation: this is a bug in ShieldX")
