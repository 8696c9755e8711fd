"""`python -m bench.privacy masking`: measures how fast masking is, against a bare RE2 pass and Presidio."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.machine import this_machine
from bench.page import PAGE, check_part, write_part
from bench.privacy import logs, masking
from bench.privacy.presidio import analyzer
from bench.quick import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.grid import Grid

PART = "masking"
QUICK = {"megabytes": 2, "presidio_kilobytes": 4, "rounds": 1}
ACCESS_LINES = 5_000
console = Console()


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write the page."""
    given = _parsed(arguments)
    page = given.page or (None if given.quick else PAGE)
    if page is not None:
        check_part(page, PART)
    load_average, *_ = os.getloadavg()
    machine = this_machine(load_average, None)
    size, some = given.megabytes * 1_000_000, given.presidio_kilobytes * 1000
    analyze = analyzer()
    grids: list[Grid] = []
    of_demo = given.logs.read_bytes() if given.logs else asyncio.run(logs.demo_logs(os.environ))
    for title, text in (
        ("The demo's logs", logs.repeated(of_demo, size)),
        ("An access log, full of personal data", logs.repeated(logs.access_log(ACCESS_LINES), size // 8)),
    ):
        figures = masking.measure(text, given.rounds, some, analyze)
        grids.append(masking.grid(title, figures))
        console.print(grids[-1].terminal())
    if page is not None:
        tables = [line for grid in grids for line in (f"**{grid.title}**", "", grid.markdown(), "")]
        write_part(page, PART, [*tables, *(f"- {line}" for line in machine.lines())])
        console.print(f"written into {page}")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.privacy masking", description=__doc__)
    parser.add_argument("--logs", type=Path, help="a log to mask; by default the demo runs, and its logs are masked")
    parser.add_argument("--megabytes", type=int, default=32, help="size to which each log is repeated")
    parser.add_argument("--presidio-kilobytes", type=int, default=200, help="size of the part that Presidio gets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="see that it runs; the page is left alone")
    parser.add_argument(
        "--page", type=Path, help="where to write; by default docs/reference/benchmarks.md, after a whole run"
    )
    return parse(parser, QUICK, arguments)
