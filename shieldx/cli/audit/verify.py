"""`shieldx audit verify`: checks that the log is intact and, on request, reconciles the ledger."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from shieldx.bootstrap.keyring_source import keyring, knows_keyring
from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.reconciliation import print_reconciliation, reconcile_platform
from shieldx.cli.audit.sources import KAFKA, POSTGRES, SOURCES
from shieldx.cli.audit.stored_heads import stored_heads
from shieldx.cli.audit.verdict_table import in_file, in_partition, in_table, print_verdict, verdict_json
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.stdout import as_json, json_wanted, print_json
from shieldx.cli.work_progress import work_progress
from shieldx.domains.audit.tables import LOG
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from shieldx.verification.heads import Heads, judge, read_heads
from shieldx.verification.kafka_log import heads_below, kafka_segments
from shieldx.verification.metrics import write_metrics
from shieldx.verification.postgres_log import (
    MIRROR,
    mirrored_heads,
    mirrored_positions,
    postgres_segments,
    set_aside,
)
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.audit.joining import Verdict
    from shieldx.keyring.keyring import Keyring
    from shieldx.reconciliation.report import ReconciliationReport
    from shieldx.settings import Settings


class Asked(NamedTuple):
    """What to verify, and what to compare it with."""

    file: Path | None
    only: str | None
    topic: str
    heads: Heads


@click.command()
@click.option("--file", type=click.Path(path_type=Path), help="Verify an exported file instead of Kafka and Postgres.")
@click.option("--only", type=SOURCES, help="Verify only this one.")
@click.option(
    "--heads",
    "head_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Heads saved by `shieldx audit heads`: their entries must still exist. Can be repeated.",
)
@click.option("--against-ledger", is_flag=True, help="Replay the ledger; ledger, log and Postgres must agree.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default=True, help="Number of processes."
)
@click.option("--topic", default=LOG, show_default=True, help="The topic of the log.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write the results for Prometheus.")
@as_json
def command(
    *,
    file: Path | None,
    only: str | None,
    head_files: Sequence[Path],
    against_ledger: bool,
    jobs: int,
    topic: str,
    metrics_file: Path | None,
    as_json: bool,
) -> None:
    """Check every entry's hash, signature and link in Kafka and in Postgres, and that no entry is missing.

    The log must contain everything that the mirror in Postgres has seen, and the mirror everything that it claims to
    have read, with nothing set aside. The exit code is 1 if anything is wrong.
    """
    if file is not None and (only or against_ledger):
        raise click.UsageError("--file cannot be combined with --only or --against-ledger")
    silence_aiokafka()
    settings = load_settings(os.environ)
    keys = _keys(settings)
    heads = _heads(head_files, keys)
    as_json = json_wanted(as_json=as_json)
    with work_progress("verifying") as progress:
        verifier = Verifier(keys, jobs=jobs, progress=progress)
        verdicts = asyncio.run(_verify(settings, verifier, keys, Asked(file, only, topic, heads)))
    for name, verdict in verdicts.items():
        where = in_file(file) if file is not None else in_table if name == MIRROR else in_partition
        if as_json:
            print_json(verdict_json(name, verdict, where))
        else:
            print_verdict(name, verdict, where)
    report = _reconcile(settings, as_json=as_json) if against_ledger else None
    if metrics_file is not None:
        faults = None if report is None else {check: count for check, _, count, _ in report.rows()}
        write_metrics(metrics_file, verdicts, faults, at_s=time.time())
    if not all(verdict.is_whole for verdict in verdicts.values()) or (report is not None and not report.ok):
        click.get_current_context().exit(1)


def _keys(settings: Settings) -> Keyring:
    if not knows_keyring(settings):  # reading it would make the embedded stack create new keys
        raise FixConfiguration(
            "no keyring is configured: set SHIELDX_AUDIT_KEYRING_FILE, or run this where `shieldx up` runs"
        )
    return keyring(settings)


def _heads(files: Sequence[Path], keys: Keyring) -> Heads:
    found = [read_heads(path, keys) for path in files]
    return Heads([head for each in found for head in each.seen], [each for of in found for each in of.breaks])


async def _verify(settings: Settings, verifier: Verifier, keys: Keyring, asked: Asked) -> dict[str, Verdict]:
    if asked.file is not None:
        return {str(asked.file): await verifier.export(asked.file, asked.heads)}
    platform = Platform(settings)
    verdicts = {}
    if asked.only is None and not platform.knows_postgres:
        asked = asked._replace(only=KAFKA)
    partitions = 0 if asked.only == POSTGRES else await partitions_of(platform, asked.topic)
    if asked.only != POSTGRES:
        # Heads first: when the log is read, it must contain everything that anybody has seen by now.
        seen, broken = judge(await stored_heads(platform) if asked.topic == LOG else (), keys)
        if asked.only is None:
            seen += await mirrored_heads(platform.postgres_dsn, keys)
        segments = await kafka_segments(settings, platform.bootstrap, asked.topic, partitions)
        heads = Heads([*asked.heads.seen, *seen], [*asked.heads.breaks, *broken])
        verdicts[f"{asked.topic} in Kafka"] = await verifier.log(segments, heads)
    if asked.only != KAFKA:
        heads = asked.heads
        if asked.only is None:
            said = await mirrored_positions(platform.postgres_dsn, asked.topic)
            positions = {number: offset for number, offset in said.items() if 0 <= number < partitions}
            below = await heads_below(settings, platform.bootstrap, asked.topic, positions, keys)
            heads = Heads([*asked.heads.seen, *below], [])
        verdict = await verifier.log(await postgres_segments(platform.postgres_dsn), heads)
        aside = await set_aside(platform.postgres_dsn, asked.topic)
        verdicts[MIRROR] = msgspec.structs.replace(verdict, breaks=[*verdict.breaks, *aside])
    return verdicts


def _reconcile(settings: Settings, *, as_json: bool) -> ReconciliationReport:
    with work_progress("replaying the ledger") as progress:
        report = asyncio.run(reconcile_platform(Platform(settings), progress))
    print_reconciliation(report, as_json=as_json)
    return report
