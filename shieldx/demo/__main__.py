"""`python -m shieldx.demo`: the demo that `make demo` runs."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from shieldx.cli.stop_signals import finishes_before, stop_event
from shieldx.demo.generated_trace import SEED, generate_trace
from shieldx.demo.progress import Progress
from shieldx.demo.report import print_report
from shieldx.demo.run import Outcome, Plan, run
from shieldx.demo.trace import read_trace
from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.stack_error import StackError
from shieldx.dev.worker_process import LOG
from shieldx.errors import ShieldXError
from shieldx.settings import Settings, load_settings

PARTITIONS = 4
EXIT_DIFFERENCES, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130
_WIDTH = 120
CLIENT_LOG, DIFFERENCES = "client.log", "differences.txt"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trace", envvar="TRACE", help="CSV file with TIMESTAMP, ContextTokens and GeneratedTokens.")
@click.option("--seed", default=SEED, show_default=True, help="Seed of the generated trace, if no trace is given.")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1), help="Duration of the replay.")
@click.option("--per-second", default=1000, show_default=True, type=click.IntRange(10), help="Rate of the paced phase.")
def main(trace: str | None, seed: int, seconds: float, per_second: int) -> None:
    """Replay a usage trace through a fresh ledger, recompute every balance, and verify the audit log.

    The exit code is 0 if the recount agrees and the audit log is intact, 1 if not, and 2 if the demo could not run.
    """
    on_terminal = sys.stdout.isatty()
    out = Console(width=None if on_terminal else _WIDTH)
    error_console = Console(stderr=True)
    try:
        plan = Plan(read_trace(Path(trace)) if trace else generate_trace(seed), seconds, per_second)
        given = load_settings(os.environ)
        settings = Settings(partitions=PARTITIONS, java=given.java, home=given.home)
        sys.exit(asyncio.run(_demo(plan, settings, out, error_console)))
    except (ShieldXError, StackError, KafkaError) as error:
        error_console.print(f"{type(error).__name__}: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_ERROR)


async def _demo(plan: Plan, settings: Settings, out: Console, error_console: Console) -> int:
    """Run the demo in a temporary folder, which is kept only if it is needed to investigate a failure."""
    stopping = stop_event()
    folder = Path(tempfile.mkdtemp(prefix="shieldx-demo-"))
    # aiokafka logs warnings about errors that it retries, such as a topic that was just created.
    logging.basicConfig(filename=folder / CLIENT_LOG, format="%(asctime)s %(name)s: %(message)s")
    cache = cache_folder(os.environ.get("XDG_CACHE_HOME"))
    outcomes: list[Outcome] = []

    async def work() -> None:
        async with Progress(error_console) as progress:
            outcomes.append(await run(plan, settings, folder, cache, progress))

    try:
        if not await finishes_before(stopping, work()):
            error_console.print("interrupted; everything has been stopped")
            shutil.rmtree(folder)
            return EXIT_INTERRUPTED
    except Exception:
        error_console.print(f"kept: {folder}, with {LOG} and {CLIENT_LOG}", highlight=False, soft_wrap=True)
        raise
    return conclude(plan, outcomes[0], folder, out)


def conclude(plan: Plan, outcome: Outcome, folder: Path, out: Console) -> int:
    """Print the report. The exit code says whether ledger and recount agree and the audit log is intact."""
    print_report(out, plan, outcome)
    if outcome.comparison.differences:
        (folder / DIFFERENCES).write_text("\n".join(outcome.comparison.differences) + "\n")
        out.print(f"All differences are in {folder / DIFFERENCES}, next to {LOG}", highlight=False, soft_wrap=True)
        return EXIT_DIFFERENCES
    if not outcome.audit_log.verdict.is_whole:
        return EXIT_DIFFERENCES
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    main()
