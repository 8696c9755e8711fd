"""`python -m bench.audit`: measures chaining, mirroring and verification of the audit log against the ledger's rate."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.console import Console

from bench import contestants, throughput
from bench.arena import open_arena
from bench.audit.chain import KEY_ID, KEYS, export
from bench.audit.mirroring import copy_rate, mirror_rate
from bench.audit.verifying import bare_loop, command_rate, export_rate, whole
from bench.grid import Grid
from bench.machine import this_machine
from bench.page import PAGE, check_part, write_part
from bench.quick import parse
from bench.reading import Reader
from bench.rounds import Rounds
from shieldx.bootstrap.postgres import schema_at
from shieldx.dev.postgres import PostgresServer
from shieldx.domains.audit.tables import LOG
from shieldx.settings import load_settings
from shieldx.verification.kafka_log import kafka_segments
from shieldx.verification.postgres_log import postgres_segments
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.arena import Arena
    from bench.program import Program
    from shieldx.settings import Settings
    from shieldx.verification.segments import Segment

PART = "audit"
QUICK = {"backlog": 20_000, "entries": 50_000, "rounds": 1}
LEDGER, CHAINED, MIRRORED, COPY = "ledger", "chained", "mirrored", "bare COPY"
BARE, EXPORT = "bare loop of SHA-256 and HMAC", "export, in one process"
ONE, TWO = "command, one process", "command, two processes"
KAFKA, POSTGRES = "Kafka, two processes", "Postgres, two processes"
console = Console()


class Comparison(NamedTuple):
    """A figure, the figure it is compared with, and the wanted ratio."""

    name: str
    against: str | None = None
    wanted: float | None = None


ROWS = (
    Comparison(LEDGER),
    Comparison(CHAINED, LEDGER, 1),
    Comparison(MIRRORED, LEDGER, 1),
    Comparison(COPY),
    Comparison(MIRRORED, COPY),
    Comparison(BARE),
    Comparison(EXPORT, BARE, 0.5),
    Comparison(ONE, BARE),
    Comparison(TWO, ONE, 1.8),
    Comparison(KAFKA, BARE),
    Comparison(POSTGRES, BARE),
)


async def main(given: argparse.Namespace) -> None:
    """Measure, print, and write the page."""
    page = given.page or (None if given.quick else PAGE)
    if page is not None:
        check_part(page, PART)
    settings = load_settings(os.environ)
    machine = this_machine(os.getloadavg()[0], settings.java)
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(given.rounds):
        for name, rate in (await _round(settings, given)).items():
            rates[name].append(rate)
            console.print(f"round {number + 1}: {name} {rate:,.0f}/s")
    grid = _grid({name: Rounds(tuple(figures)) for name, figures in rates.items()})
    lines = [
        f"{given.rounds} round(s), the median and the range; {given.backlog:,} commands and their entries.",
        f"{given.entries:,} entries in the export, {given.partitions} partitions.",
        "One after the other, each alone with broker or database.",
        *machine.lines(),
    ]
    console.print(grid.terminal())
    console.print("\n".join(lines), highlight=False, markup=False)
    if page is not None:
        write_part(page, PART, [grid.markdown(), "", *lines])
        console.print(f"written into {page}")


async def _round(settings: Settings, given: argparse.Namespace) -> dict[str, float]:
    rates: dict[str, float] = {}
    with TemporaryDirectory(prefix="shieldx-bench-") as name:
        exported = await asyncio.to_thread(export, Path(name) / "audit.ndjson", given.entries)
        rates[BARE] = bare_loop(exported.hashed)
        rates[EXPORT] = await export_rate(exported.path)
        for row, jobs in ((ONE, 1), (TWO, 2)):
            rates[row] = await command_rate(exported.path, given.entries, jobs, Path(name) / row)
    async with open_arena(settings, given.partitions, console.print) as arena, _postgres(arena) as dsn:
        keyring = arena.folder / "keyring.json"
        keyring.write_bytes(msgspec.json.encode({"first": KEY_ID, "keys": KEYS}))
        environment = {"SHIELDX_AUDIT_KEYRING_FILE": str(keyring), "SHIELDX_POSTGRES_DSN": dsn}
        await arena.send_backlog(given.backlog)
        expected = arena.workload.expected()
        rates[LEDGER] = (await contestants.ledger(1).run(arena, expected)).per_second
        async with arena.worker("audit", environment, agent="audit") as program:
            rates[CHAINED] = await _chain_rate(arena, expected.results, program)
        async with arena.worker("mirror", environment, agent="audit-mirror") as program:
            rates[MIRRORED] = (await mirror_rate(dsn, expected.results, program.check)).per_second
        with Reader(arena.platform.bootstrap, LOG) as reader:
            records = await asyncio.to_thread(lambda: list(reader.records()))
        rates[COPY] = await copy_rate(dsn, records)
        rates[KAFKA] = await _timed(await kafka_segments(settings, arena.platform.bootstrap, LOG, given.partitions))
        rates[POSTGRES] = await _timed(await postgres_segments(dsn))
    return rates


async def _chain_rate(arena: Arena, entries: int, program: Program) -> float:
    with Reader(arena.platform.bootstrap, LOG) as reader:
        return (await throughput.measure(reader, entries, program.check)).per_second


@asynccontextmanager
async def _postgres(arena: Arena) -> AsyncIterator[str]:
    folder = arena.folder / "postgres-mirror"
    folder.mkdir()
    server = PostgresServer(folder)
    await server.start()
    try:
        await schema_at(arena.settings, server.dsn).up()
        yield server.dsn
    finally:
        await server.stop()


async def _timed(segments: Sequence[Segment]) -> float:
    clock = asyncio.get_running_loop().time
    began_s = clock()
    entries = whole(await Verifier(KEYS, jobs=2, progress=lambda _done, _total: None).log(segments))
    return entries / (clock() - began_s)


def _grid(rates: dict[str, Rounds]) -> Grid:
    rows = []
    for row in ROWS:
        ratio = wanted = met = ""
        if row.against is not None:
            times = rates[row.name].median / rates[row.against].median
            ratio = f"{times:.2f} times the {row.against}"
            wanted = "" if row.wanted is None else f"≥ {row.wanted:g}"
            met = "" if row.wanted is None else ("yes" if times >= row.wanted else "no")
        rows.append([row.name, rates[row.name].shown(), ratio, wanted, met])
    return Grid("the audit log", ("what", "entries/s", "ratio", "wanted", "met"), rows)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench.audit", description=__doc__)
    parser.add_argument("--backlog", type=int, default=200_000, help="number of commands, each with its entry")
    parser.add_argument("--entries", type=int, default=1_000_000, help="number of entries in the exported file")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="see that it runs; the page is left alone")
    parser.add_argument(
        "--page", type=Path, help="where to write; by default docs/reference/benchmarks.md, after a whole run"
    )
    return parse(parser, QUICK)


if __name__ == "__main__":
    asyncio.run(main(arguments()))
