"""`shieldx audit verify`: whether the log is whole."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from shieldx.audit.tables import LOG
from shieldx.bootstrap import Platform, keyring
from shieldx.cli.audit.verdict_table import print_verdict, verdict_json
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.stdout import as_json, print_json, say
from shieldx.cli.work_progress import work_progress
from shieldx.settings import load_settings
from shieldx.verification.heads import read_heads
from shieldx.verification.kafka_log import heads_below, kafka_segments
from shieldx.verification.metrics import write_metrics
from shieldx.verification.postgres_log import MIRROR, mirrored_heads, mirrored_positions, postgres_segments
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.audit.breaks import Break
    from shieldx.audit.joining import SeenHead, Verdict
    from shieldx.settings import Settings

KAFKA, POSTGRES = "kafka", "postgres"


class Asked(NamedTuple):
    """What to verify, and what it is compared with."""

    logs: tuple[str, ...]
    file: Path | None
    topic: str
    heads: list[SeenHead]


@click.command()
@click.option("--file", type=click.Path(path_type=Path), help="An exported file, instead of Kafka and Postgres.")
@click.option("--only", type=click.Choice([KAFKA, POSTGRES]), help="One of the two; both if Postgres is known.")
@click.option(
    "--heads",
    "head_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Heads that `shieldx audit heads` has saved: what was there then must still be. Can be repeated.",
)
@click.option("--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--topic", default=LOG, show_default=True, help="The topic of the log.")
@click.option("--metrics-file", type=click.Path(path_type=Path), help="Write what was found for Prometheus.")
@as_json
def command(
    *,
    file: Path | None,
    only: str | None,
    head_files: Sequence[Path],
    jobs: int,
    topic: str,
    metrics_file: Path | None,
    as_json: bool,
) -> None:
    """Check every entry's hash and signature, every link, and that nothing is missing. Exit code 1: something is wrong.

    The log in Kafka is compared with the last entries that its mirror has seen as well, and the mirror with how far it
    says that it has read.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    keys = keyring(settings)
    heads, broken_heads = _heads(head_files, keys)
    logs = (only,) if only else (KAFKA, POSTGRES)
    with work_progress("verifying") as progress:
        verifier = Verifier(keys, jobs=jobs, progress=progress)
        verdicts = asyncio.run(_verify(settings, verifier, Asked(logs, file, topic, heads), explicit=bool(only)))
    if metrics_file is not None:
        write_metrics(metrics_file, verdicts, at_s=time.time())
    for name, verdict in verdicts.items():
        if as_json:
            print_json(verdict_json(name, verdict, file))
        else:
            print_verdict(name, verdict, file)
    for each in broken_heads:
        say(each.detail)
    if broken_heads or not all(verdict.is_whole for verdict in verdicts.values()):
        click.get_current_context().exit(1)


def _heads(files: Sequence[Path], keys: Any) -> tuple[list[SeenHead], list[Break]]:
    heads: list[SeenHead] = []
    breaks: list[Break] = []
    for path in files:
        found, wrong = read_heads(path, keys)
        heads += found
        breaks += wrong
    return heads, breaks


async def _verify(settings: Settings, verifier: Verifier, asked: Asked, *, explicit: bool) -> dict[str, Verdict]:
    if asked.file is not None:
        return {str(asked.file): await verifier.export(asked.file, asked.heads)}
    platform = Platform(settings)
    dsn = platform.postgres_dsn if platform.knows_postgres or (POSTGRES in asked.logs and explicit) else None
    verdicts = {}
    if KAFKA in asked.logs:
        # Heads first: what the mirror has seen by now, the log must have when it is read.
        heads = [*asked.heads, *([] if dsn is None else await mirrored_heads(dsn))]
        segments = await kafka_segments(settings, platform.bootstrap, asked.topic, platform.partitions)
        verdicts[f"{asked.topic} in Kafka"] = await verifier.log(segments, heads)
    if POSTGRES in asked.logs and dsn is not None:
        positions = await mirrored_positions(dsn, asked.topic)
        heads = [*asked.heads, *await heads_below(settings, platform.bootstrap, asked.topic, positions, MIRROR)]
        verdicts[MIRROR] = await verifier.log(await postgres_segments(dsn), heads)
    return verdicts
