"""`shieldx audit verify`: whether the log is whole, and the books are right."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from shieldx.bootstrap.keyring_source import keyring, knows_keyring
from shieldx.bootstrap.platform import Platform
from shieldx.cli.audit.books import books, print_books
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
from shieldx.verification.postgres_log import MIRROR, mirrored_heads, mirrored_positions, postgres_segments
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.domains.audit.joining import Verdict
    from shieldx.keyring.keyring import Keyring
    from shieldx.reconciliation.report import BooksReport
    from shieldx.settings import Settings


class Asked(NamedTuple):
    """What to verify, and what it is compared with."""

    file: Path | None
    only: str | None
    topic: str
    heads: Heads


@click.command()
@click.option("--file", type=click.Path(path_type=Path), help="An exported file, instead of Kafka and Postgres.")
@click.option("--only", type=SOURCES, help="One of the two, by itself.")
@click.option(
    "--heads",
    "head_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Heads that `shieldx audit heads` has saved: what was there then must still be. Can be repeated.",
)
@click.option("--against-ledger", is_flag=True, help="Run the ledger again; ledger, log and Postgres must agree.")
@click.option("--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--topic", default=LOG, show_default=True, help="The topic of the log.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write what was found for Prometheus.")
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
    """Check every entry's hash and signature, every link, and that nothing is missing, in Kafka and in Postgres.

    What the mirror in Postgres has seen, the log must have, and the mirror all that it says to have read. Exit code 1:
    something is wrong.
    """
    if file is not None and (only or against_ledger):
        raise click.UsageError("--file stands alone: it takes neither --only nor --against-ledger")
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
    report = _compare_books(settings, as_json=as_json) if against_ledger else None
    if metrics_file is not None:
        faults = None if report is None else {check: count for check, _, count, _ in report.rows()}
        write_metrics(metrics_file, verdicts, faults, at_s=time.time())
    if not all(verdict.is_whole for verdict in verdicts.values()) or (report is not None and not report.ok):
        click.get_current_context().exit(1)


def _keys(settings: Settings) -> Keyring:
    if not knows_keyring(settings):  # asked for it, the embedded stack would make new ones
        raise FixConfiguration(
            "the audit log's keys are not known: set SHIELDX_AUDIT_KEYRING_FILE, or run this where `shieldx up` does"
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
        # Heads first: what anybody has seen by now, the log must have when it is read.
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
        verdicts[MIRROR] = await verifier.log(await postgres_segments(platform.postgres_dsn), heads)
    return verdicts


def _compare_books(settings: Settings, *, as_json: bool) -> BooksReport:
    with work_progress("replaying the ledger") as progress:
        report = asyncio.run(books(Platform(settings), progress))
    print_books(report, as_json=as_json)
    return report
