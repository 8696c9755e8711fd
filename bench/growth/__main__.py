"""`python -m bench.growth scaling|restart|large|all`: writes growth tables and curves to docs/."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.growth import large, restart, scaling
from bench.growth.preload import State
from bench.machine import this_machine
from bench.page import PAGE, check_part, write_part
from bench.quick import parse
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.grid import Grid
    from bench.growth.curve import Chart
    from bench.machine import Machine
    from shieldx.settings import Settings

MEMORY, DISK, BOTH = "memory", "disk", "both"
ALL = "all"
QUICK = {
    "partitions": [1, 4],
    "workers": [1, 2],
    "backlog": 20_000,
    "histories": [5_000, 20_000],
    "tenants": 10_000,
    "keys": 500_000,
}
console = Console()


class Growth:
    """Runs the requested measurements, and writes into `page` and pictures next to it, unless `page` is None."""

    def __init__(self, given: argparse.Namespace, settings: Settings, machine: Machine, page: Path | None) -> None:
        self._given = given
        self._settings = settings
        self._machine = machine
        self._page = page

    async def scaling(self) -> None:
        """Measure throughput by partitions and workers."""
        given = self._given
        found = await scaling.measure(self._settings, given.partitions, given.workers, given.backlog, console.print)
        self._write("scaling", [scaling.grid(found)], scaling.chart(found))

    async def restart(self) -> None:
        """Measure restart time by history."""
        found = {}
        for with_checkpoint in self._states():
            found[with_checkpoint] = await restart.measure(
                self._settings,
                sorted(self._given.histories),
                with_checkpoint=with_checkpoint,
                limit_mb=self._given.state_limit_mb,
                progress=console.print,
            )
        self._write("restart", [restart.grid(found)], restart.chart(found))

    async def large(self) -> None:
        """Measure one worker with a large state."""
        given = self._given
        grids = []
        for on_disk in self._states():
            state = State(given.tenants, given.keys, large.PARTITIONS)
            plan = large.Plan(state, given.backlog, on_disk, given.state_limit_mb)
            grids.append(await large.measure(self._settings, plan, console.print))
        self._write("large", grids, None)

    def _states(self) -> list[bool]:
        return {MEMORY: [False], DISK: [True], BOTH: [False, True]}[self._given.state]

    def _write(self, name: str, grids: Sequence[Grid], chart: Chart | None) -> None:
        lines = []
        for grid in grids:
            console.print(grid.terminal())
            lines += [f"**{grid.title.capitalize()}**", "", grid.markdown(), ""]
        lines += self._machine.lines()
        if self._page is None:
            return
        if chart is not None:
            picture = self._page.with_name(f"growth-{name}.svg")
            picture.write_text(chart.svg(), encoding="utf-8")
            lines = [f"![{chart.title}]({picture.name})", "", *lines]
        write_part(self._page, part_name(name), lines)
        console.print(f"written into {self._page}")


async def main(given: argparse.Namespace) -> None:
    """Run the measurements one after another."""
    settings = load_settings(os.environ)
    machine = this_machine(os.getloadavg()[0], settings.java)
    page = given.page or (None if given.quick else PAGE)
    growth = Growth(given, settings, machine, page)
    parts = {"scaling": growth.scaling, "restart": growth.restart, "large": growth.large}
    wanted = list(parts) if given.what == ALL else [given.what]
    if page is not None:
        for name in wanted:
            check_part(page, part_name(name))
    for name in wanted:
        await parts[name]()


def part_name(what: str) -> str:
    """The name of the part's markers in the page."""
    return f"growth-{what}"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__)
    parser.add_argument("what", choices=["scaling", "restart", "large", ALL])
    parser.add_argument("--partitions", type=_numbers, default=[1, 2, 4, 12, 24, 48], help="for scaling: 1,2,4,…")
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 3], help="for scaling: 1,2,…")
    parser.add_argument(
        "--backlog", type=int, default=300_000, help="for scaling and large: number of commands in the backlog"
    )
    parser.add_argument(
        "--histories",
        type=_numbers,
        default=[10_000, 100_000, 1_000_000, 5_000_000],
        help="for restart: numbers of commands",
    )
    parser.add_argument("--tenants", type=int, default=1_000_000, help="for large: number of preloaded tenants")
    parser.add_argument("--keys", type=int, default=50_000_000, help="for large: number of preloaded keys")
    parser.add_argument(
        "--state",
        choices=[MEMORY, DISK, BOTH],
        default=BOTH,
        help="for restart and large: with SHIELDX_STATE_FOLDER unset or set",
    )
    parser.add_argument("--state-limit-mb", type=int, help="for restart and large: SHIELDX_STATE_LIMIT_MB")
    parser.add_argument("--quick", action="store_true", help="small sizes to check that it runs; does not write docs/")
    parser.add_argument("--page", type=Path, help="the page to write; default: docs/reference/benchmarks.md")
    return parse(parser, QUICK)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.replace("_", "").split(",")]


if __name__ == "__main__":
    asyncio.run(main(arguments()))
