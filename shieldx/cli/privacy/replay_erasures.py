"""`shieldx privacy replay-erasures`: erases again what the audit log says was erased."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import timeout_option
from shieldx.cli.privacy.commands import carry_out_all
from shieldx.cli.privacy.subject import actor_option
from shieldx.cli.rows import all_rows_of
from shieldx.cli.stdout import counted, say
from shieldx.cli.user_name import user_name
from shieldx.domains.audit.record import Malformed, decode
from shieldx.domains.audit.tables import LOG
from shieldx.domains.privacy.answers import ERASE
from shieldx.domains.privacy.messages import Erase
from shieldx.domains.privacy.subjects import subject_of_entry
from shieldx.domains.privacy.tables import ERASURES, KEYS, ErasureRow, SubjectKeys
from shieldx.settings import load_settings
from shieldx.sinks.database import connected

if TYPE_CHECKING:
    from collections.abc import Iterable

Subject = tuple[str, str]
"""A tenant, and the pseudonym of a person."""
Erased = dict[Subject, dict[str, None]]
"""The names of destroyed keys, each once, by subject."""
_ERASURES = "SELECT tenant_id, subject, payload FROM audit.entries WHERE action = $1 ORDER BY shard, sequence"
NOTE = "replayed from the audit log"


class _Payload(msgspec.Struct):
    keys: tuple[str, ...]


@click.command()
@click.option("--dry-run", is_flag=True, help="Only print what would be erased.")
@actor_option
@timeout_option
def command(actor: str | None, timeout_s: float, *, dry_run: bool) -> None:
    """Erase again all keys that the audit log says were erased, if a table does not have the erasure.

    Reads the log in Kafka and, if Postgres is configured, its mirror there: one of them must be later than the backup.
    Run it after you have restored a backup, before producers and readers start. Verify the audit log first. Keys that a
    subject got after its erasure stay.
    """
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        asyncio.run(_replay(platform, actor or user_name(), timeout_s, dry_run=dry_run))


async def _replay(platform: Platform, actor: str, timeout_s: float, *, dry_run: bool) -> None:
    erased: Erased = {}
    await _add_log(platform, erased)
    if platform.knows_postgres:
        await _add_mirror(platform, erased)
    refused = {(row.tenant_id, row.subject): row.keys for row in await all_rows_of(platform, ERASURES, ErasureRow)}
    held = {
        (row.tenant_id, row.subject): [key.key for key in row.keys]
        for row in await all_rows_of(platform, KEYS, SubjectKeys)
    }
    missing = {
        subject: keys
        for subject, keys in erased.items()
        if not set(keys) <= set(refused.get(subject, ())) or not set(keys).isdisjoint(held.get(subject, ()))
    }
    say(f"the audit log has erasures of {counted(len(erased), 'subject')}")
    by_tenant: dict[str, list[Erase]] = {}
    for (tenant_id, subject), keys in missing.items():
        erase = Erase(tenant_id=tenant_id, subject=subject, actor=actor, keys=tuple(keys), note=NOTE)
        by_tenant.setdefault(tenant_id, []).append(erase)
    for tenant_id, erasures in () if dry_run else by_tenant.items():
        await carry_out_all(platform, tenant_id, erasures, timeout_s)
    done = "would erase" if dry_run else "erased"
    click.echo(f"{done} {counted(len(missing), 'subject')} again")


async def _add_log(platform: Platform, erased: Erased) -> None:
    """Add the keys that the log in Kafka names."""
    numbers: Iterable[int] = range(await partitions_of(platform, LOG))
    async with committed_consumer(platform) as consumer:
        async for record in committed_records(consumer, LOG, numbers):
            try:
                entry = decode(record.value or b"")
            except Malformed as error:
                say(f"{LOG}/{record.partition}/{record.offset} is not an entry: {error}. Run `shieldx audit verify`")
                continue
            if entry.action == ERASE and entry.tenant_id is not None:
                _add(erased, entry.tenant_id, entry.subject, entry.payload)


async def _add_mirror(platform: Platform, erased: Erased) -> None:
    """Add those that its copy in Postgres names, which may be from a later time than a restored cluster."""
    (await platform.schema.state()).check()
    async with connected(platform.postgres_dsn) as connection:
        rows = await connection.fetch(_ERASURES, ERASE)
    for tenant_id, subject, payload in rows:
        _add(erased, tenant_id, subject, payload)


def _add(erased: Erased, tenant_id: str, subject: str, payload: str | None) -> None:
    keys = msgspec.json.decode(payload or "", type=_Payload).keys
    if keys:
        erased.setdefault((tenant_id, subject_of_entry(subject)), {}).update(dict.fromkeys(keys))
