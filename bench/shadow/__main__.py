"""`python -m bench.shadow`: measures the speed of rules, and the quality of the Core Rule Set on real traffic."""

from __future__ import annotations

import argparse
import asyncio
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.arena import open_arena
from bench.machine import this_machine
from bench.page import PAGE, check_part, write_part
from bench.quick import parse
from bench.shadow import data, many, one_rule, rule_set, traffic
from bench.shadow.client import Client
from bench.shadow.figures import Figures
from bench.shadow.workers import evaluators, planner
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.settings import Settings

PART = "shadow"
QUICK = {"samples": 2_000, "large": 10_000, "rounds": 1}
QUICK_RULE_SET_EVERY = 10
"""With --quick, all rules judge only every tenth real sample."""
PROCESSES = 8
"""The default of SHIELDX_SHADOW_PROCESSES."""
console = Console()


async def main(given: argparse.Namespace) -> None:
    """Measure, print, and write the pages."""
    silence_aiokafka()
    page = given.page or (None if given.quick else PAGE)
    if page is not None:
        check_part(page, PART)
        traffic.check_pages(page)
    settings = load_settings(os.environ)
    machine = this_machine(os.getloadavg()[0], settings.java)
    real = data.read() if data.is_there() else None
    figures = Figures(given.samples, given.large)
    for number in range(given.rounds):
        await _through_kafka(settings, given, figures)
        figures.take_seconds(one_rule.in_this_process(given.samples))
        console.print(f"round {number + 1}: {figures.last()}", highlight=False, markup=False)
    lines = [
        (
            f"{given.rounds} round(s), the median and the range; {given.partitions} partitions, {given.processes} "
            "processes of the evaluators."
        ),
        "Broker, workers and client share the machine.",
        *machine.lines(),
        f"google-re2 {version('google-re2')}.",
    ]
    if real is None:
        console.print(f"skipped: {data.ABSENT}")
        lines.append(f"All rules over all samples were left out: {data.ABSENT}.")
    else:
        _over_rule_set(real, given, figures)
    console.print(*(grid.terminal() for grid in figures.grids()))
    console.print("\n".join([*figures.notes(), *lines]), highlight=False, markup=False)
    if page is not None:
        tables = [
            line for grid in figures.grids() for line in (f"**{grid.title.capitalize()}**", "", grid.markdown(), "")
        ]
        write_part(page, PART, [*tables, *_listed(figures.notes()), "", *lines])
        console.print(f"written into {page}")
    if real is not None:
        await traffic.run(settings, real, page, quick=given.quick)


async def _through_kafka(settings: Settings, given: argparse.Namespace, figures: Figures) -> None:
    async with (
        open_arena(settings, given.partitions, console.print) as arena,
        evaluators(arena, given.processes) as judging,
    ):
        figures.take_one(await one_rule.through_kafka(arena, judging, given.samples))
        async with planner(arena) as planning, Client(arena, [planning, judging]) as client:
            figures.take_at_once(await many.at_once(arena, client))
            figures.take_crowded(await many.beside_a_large_one(arena, client, given.large))


def _over_rule_set(real: data.RealData, given: argparse.Namespace, figures: Figures) -> None:
    samples = real.samples[:: QUICK_RULE_SET_EVERY if given.quick else 1]
    can = rule_set.runnable(real.rules, samples)
    figures.take_runnable(can, len(samples))
    for number in range(given.rounds):
        figures.take_rule_set(rule_set.measure(can.rules, samples))
        console.print(f"round {number + 1}: all rules over all samples", highlight=False)


def _listed(notes: Sequence[str]) -> list[str]:
    return [f"- {note}" for note in notes]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench.shadow", description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000, help="number of samples for one rule")
    parser.add_argument("--large", type=int, default=100_000, help="number of samples of the large evaluation")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument(
        "--processes", type=int, default=PROCESSES, help="number of processes of the evaluators' worker"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="see that it runs; the pages are left alone")
    parser.add_argument(
        "--page", type=Path, help="where to write; by default docs/reference/benchmarks.md, after a whole run"
    )
    return parse(parser, QUICK)


if __name__ == "__main__":
    asyncio.run(main(arguments()))
