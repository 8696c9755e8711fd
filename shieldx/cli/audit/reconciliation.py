"""Reconciles the ledger for `shieldx audit verify --against-ledger`, and prints the findings."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.keyring_source import PLATFORM, knows_keyring
from shieldx.bootstrap.platform_keys import signing_keys
from shieldx.cli.kafka_errors import named_kafka_errors
from shieldx.cli.stdout import counted, print_json, print_table, printable, say
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.reconciliation.check import reconcile
from shieldx.rocksdb.store import RocksStores

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.bootstrap.platform import Platform
    from shieldx.reconciliation.report import ReconciliationReport

LEDGER = "credits"
MEMORY_BYTES = 256_000_000


async def reconcile_platform(platform: Platform, progress: Callable[[int, int], None]) -> ReconciliationReport:
    """Replay the ledger with its state in a temporary folder. `progress` gets the finished and the total hundredths.

    Raises:
        FixConfiguration: A topic is missing, or the schema in Postgres belongs to another version.
        CheckConnection: Kafka failed.
        CheckPostgres: Postgres failed.
    """
    agent = TransactionalAgent.of(platform.agent(LEDGER))
    await platform.topic_admin.check(agent, platform.topics, partitions=platform.partitions)
    if platform.knows_postgres:
        (await platform.schema.state()).check()

    # Reading an unknown keyring would make the embedded stack create new keys.
    keys = signing_keys(platform.settings) if knows_keyring(platform.settings, PLATFORM) else None

    def advance(partition: int, offset: int, end: int) -> None:
        progress(100 * partition + (100 * offset // end if end else 100), 100 * platform.partitions)

    with TemporaryDirectory(prefix="shieldx-reconciliation-") as folder, named_kafka_errors(platform.connection):
        report = await reconcile(
            platform.connection,
            agent=agent,
            manifests=platform.topics,
            partitions=platform.partitions,
            application=platform.settings.application,
            dsn=platform.postgres_dsn if platform.knows_postgres else None,
            progress=advance,
            keys=keys,
            stores=RocksStores(Path(folder), memory_bytes=MEMORY_BYTES),
        )
    if keys is None and not report.ok:
        say(
            "no platform keyring is configured here, so commands that agents signed counted as refused: if the workers "
            "have one, set SHIELDX_PLATFORM_KEYRING_FILE"
        )
    return report


def print_reconciliation(report: ReconciliationReport, *, as_json: bool) -> None:
    """Print what was compared and every fault."""
    if as_json:
        print_json(
            {
                "books": "right" if report.ok else "wrong",
                "checks": [
                    {"check": name, "compared": compared, "faults": faults, "behind": behind}
                    for name, compared, faults, behind in report.rows()
                ],
                "faults": [str(fault) for fault in report.faults],
                "partitions": [str(each) for each in report.partitions if not each.replayed],
            }
        )
        return
    click.echo("reconciliation")
    print_table(("check", "compared", "faults", "behind"), report.rows())
    for each in report.partitions:
        if not each.replayed:
            click.echo(printable(str(each)))
    if report.ok:
        click.echo(f"{counted(report.commands, 'command')}: ledger, log and Postgres agree\n")
        return
    click.echo(f"{counted(report.commands, 'command')}: FAULTS FOUND\n")
    for fault in report.faults:
        click.echo(f"{fault.check}: {printable(str(fault))}")
    click.echo()
