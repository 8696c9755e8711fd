"""`python -m bench`: measures the ledger against its peers, and its latency, on a broker of its own.

Every round starts a new broker with one backlog, which the contestants process in turn, in a different order each
round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from bench import contestants, latency, throughput
from bench.arena import open_arena
from bench.machine import this_machine
from bench.page import PAGE, check_part, write_part
from bench.reading import Reader
from bench.report import Entry, abouts, latency_grid, peers_grid, short_reason
from bench.rounds import rotated
from shieldx.domains.credits.tables import RESULTS
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.contestants import Contestant
    from bench.grid import Grid
    from shieldx.settings import Settings

RATES = (1_000, 5_000, 10_000)
WARM_UP = 20_000
QUICK = {"backlog": 20_000, "rounds": 1, "seconds": 2.0, "calls": 50}
LATENCY = "latency"
PART = "peers"
console = Console()


class Plan(NamedTuple):
    """How much to measure."""

    backlog: int
    seconds: float
    calls: int
    partitions: int
    workers: int
    rounds: int
    only: frozenset[str]

    def contestants(self) -> list[Contestant]:
        """The contestants that take part."""
        return [each for each in all_contestants(self.workers) if not self.only or each.name in self.only]


def all_contestants(workers: int) -> list[Contestant]:
    """The ledger, its peers, and a batched Postgres for comparison."""
    return [
        contestants.ledger(workers),
        contestants.quix(),
        contestants.faust(),
        *(contestants.postgres_one_by_one(form) for form in contestants.Form),
        contestants.postgres_in_batches(100),
    ]


NAMES = {LATENCY, *(each.name for each in all_contestants(1))}


async def main(plan: Plan, page: Path | None, load_average: float) -> None:
    """Measure, print, and write the page."""
    if page is not None:
        check_part(page, PART)
    settings = load_settings(os.environ)
    machine = this_machine(load_average, settings.java)
    grids: list[Grid] = []
    lines = [
        *machine.lines(),
        f"{plan.rounds} round(s), the median and the range; {plan.backlog:,} commands, {plan.partitions} partitions.",
        "Broker, contestant and client share the machine.",
        "",
    ]
    if taking_part := plan.contestants():
        entries = await _compare(plan, settings, taking_part)
        grids.append(peers_grid(entries))
        lines += abouts(entries)
    if not plan.only or LATENCY in plan.only:
        grids.append(latency_grid(await _latencies(plan, settings)))
    for grid in grids:
        console.print(grid.terminal())
    console.print("\n".join(lines), highlight=False, markup=False)
    if page is not None:
        tables = [line for grid in grids for line in (f"**{grid.title.capitalize()}**", "", grid.markdown(), "")]
        write_part(page, PART, [*tables, *lines])
        console.print(f"written into {page}")


async def _compare(plan: Plan, settings: Settings, taking_part: Sequence[Contestant]) -> list[Entry]:
    rates: dict[str, list[float]] = defaultdict(list)
    failures: dict[str, str] = {}
    for number in range(plan.rounds):
        async with open_arena(settings, plan.partitions, console.print) as arena:
            await arena.send_backlog(plan.backlog)
            expected = arena.workload.expected()
            for contestant in rotated(taking_part, number):
                try:
                    seen = await contestant.run(arena, expected)
                except Exception as error:  # noqa: BLE001 - if a peer fails, the others are still measured
                    failures[contestant.name] = short_reason(error)
                    console.print(f"round {number + 1}: {contestant.name} failed: {error}", markup=False)
                else:
                    rates[contestant.name].append(seen.per_second)
                    console.print(f"round {number + 1}: {contestant.name} {seen.per_second:,.0f} commands/s")
    return [
        Entry(each.name, each.about, tuple(rates[each.name]), failures.get(each.name), each.wanted)
        for each in taking_part
    ]


async def _latencies(plan: Plan, settings: Settings) -> dict[str, list[latency.Latency]]:
    found: dict[str, list[latency.Latency]] = defaultdict(list)
    for number in range(plan.rounds):
        async with open_arena(settings, plan.partitions, console.print) as arena, AsyncExitStack() as running:
            await arena.send_backlog(WARM_UP)
            for name in range(plan.workers):
                program = await running.enter_async_context(arena.worker(f"worker-{name}"))
            with Reader(arena.platform.bootstrap, RESULTS) as reader:
                await throughput.measure(reader, WARM_UP, program.check)
            connection = arena.platform.connection
            for rate in RATES:
                console.print(f"round {number + 1}: steady {rate:,}/s for {plan.seconds:g} s")
                found[f"steady {rate:,}/s"].append(
                    await latency.measure(
                        connection, plan.partitions, arena.sending, arena.workload, rate, plan.seconds
                    )
                )
            found["one caller"].append(await latency.measure_one_caller(connection, plan.calls))
    return dict(found)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--backlog", type=int, default=300_000, help="number of commands in each contestant's backlog")
    parser.add_argument("--seconds", type=float, default=10, help="duration of each steady rate")
    parser.add_argument("--calls", type=int, default=300, help="number of calls of the single caller")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="number of ledger processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help=f"names from the table, or {LATENCY}, with commas between")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the page is left alone")
    parser.add_argument(
        "--page", type=Path, help="where to write; by default docs/reference/benchmarks.md, after a whole run"
    )
    return parser.parse_args()


def run(given: argparse.Namespace) -> None:
    """Run the benchmark."""
    if given.quick:
        vars(given).update(QUICK)
    page = given.page or (None if given.quick or given.only else PAGE)
    only = frozenset(filter(None, given.only.split(",")))
    if unknown := only - NAMES:
        raise SystemExit(f"--only: unknown names {', '.join(sorted(unknown))}; choose from {', '.join(sorted(NAMES))}")
    plan = Plan(given.backlog, given.seconds, given.calls, given.partitions, given.workers, given.rounds, only)
    asyncio.run(main(plan, page, os.getloadavg()[0]))


if __name__ == "__main__":
    run(arguments())
