"""Measures throughput by partitions and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.arena import open_arena
from bench.contestants import ledger
from bench.grid import Grid
from bench.growth.curve import Chart, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.settings import Settings

TENANTS = 1000
"""More tenants than elsewhere. Otherwise the load of 48 partitions would be very uneven."""

Cell = tuple[int, int]
"""Numbers of partitions and workers."""


async def measure(
    settings: Settings,
    partitions: Sequence[int],
    workers: Sequence[int],
    backlog: int,
    progress: Callable[[str], None],
) -> dict[Cell, float]:
    """Commands per second for every combination with at least one partition per worker, each on a new broker."""
    found = {}
    for partition_count in partitions:
        for worker_count in workers:
            if worker_count > partition_count:
                continue
            async with open_arena(settings, partition_count, progress, tenants=TENANTS) as arena:
                await arena.send_backlog(backlog)
                seen = await ledger(worker_count).run(arena, arena.workload.expected())
            found[partition_count, worker_count] = seen.per_second
            progress(f"{partition_count} partitions, {worker_count} worker(s): {seen.per_second:,.0f} commands/s")
    return found


def grid(found: dict[Cell, float]) -> Grid:
    """A table with one row per number of partitions."""
    partitions, workers = _axes(found)
    rows = [[str(p), *(f"{found[p, w]:,.0f}" if (p, w) in found else "" for w in workers)] for p in partitions]
    return Grid("commands/s", ("partitions", *(_workers(w) for w in workers)), rows)


def chart(found: dict[Cell, float]) -> Chart:
    """A chart with one line per number of workers."""
    partitions, workers = _axes(found)
    lines = [Series(_workers(w), [found.get((p, w)) for p in partitions]) for w in workers]
    return Chart("Throughput over partitions", "partitions", "commands/s", [str(p) for p in partitions], lines)


def _axes(found: dict[Cell, float]) -> tuple[list[int], list[int]]:
    return sorted({partitions for partitions, _ in found}), sorted({workers for _, workers in found})


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"
