"""Measures one worker with a large state: restore time, memory and speed."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

from bench import throughput
from bench.arena import open_arena
from bench.grid import Grid
from bench.growth.blocks import ENTRY_BYTES
from bench.growth.memory import read_memory, sampled
from bench.growth.preload import State, preload
from bench.growth.successor import LONGEST_S, first_answer, patient_client, state_environment, worker
from bench.reading import Reader
from bench.verdict import WrongResults
from shieldx.domains.credits.tables import RESULTS
from shieldx.errors import ShieldXError
from shieldx.state.deduplication import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.arena import Arena
    from bench.program import Program
    from shieldx.client import Client
    from shieldx.domains.credits.messages import Consume
    from shieldx.settings import Settings

PARTITIONS = 4
PROBES = 20
UNBOUNDED_MB = 1_000_000
"""The limit for state in memory: a worker at its limit would wait forever."""
DISK_TIMES = 3
"""How many times the state's size the topic, the worker's files and their compaction need on the disk."""
ACCOUNT_BYTES = 200


class FreeDisk(ShieldXError):
    """The preloaded state does not fit on the disk; set TMPDIR to a larger disk, or preload less."""


class Plan(NamedTuple):
    """How much to preload and measure."""

    state: State
    backlog: int
    on_disk: bool
    limit_mb: int | None


async def measure(settings: Settings, plan: Plan, progress: Callable[[str], None]) -> Grid:
    """Preload, start, probe, measure, kill, and restart.

    Raises:
        FreeDisk: The state would not fit on the disk.
        WrongResults: A preloaded key was not remembered.
    """
    rows: list[tuple[str, str]] = []
    state = plan.state
    async with (
        open_arena(settings, state.partitions, progress, tenants=state.tenants) as arena,
        AsyncExitStack() as running,
    ):
        _check_disk(arena, plan)
        start_s = time.monotonic()
        remembered = await preload(
            arena.platform.connection, "credits.positions", state, time.time_ns() // 1_000_000 // HOUR_MS
        )
        progress(f"{state.tenants:,} tenants and {state.keys:,} keys written in {time.monotonic() - start_s:.0f} s")
        environment = state_environment(
            str(arena.folder / "state") if plan.on_disk else None,
            plan.limit_mb or (None if plan.on_disk else UNBOUNDED_MB),
        )
        client = await running.enter_async_context(patient_client(arena))
        probes = [remembered[len(remembered) * number // PROBES] for number in range(PROBES)]

        first = await running.enter_async_context(worker(arena, "first", environment))
        rows.append(("first start, from the topics, until it answers", await _restart(client, first, probes)))
        rows.append(("memory then", read_memory(first.pid).shown()))
        first.kill()
        second = await running.enter_async_context(worker(arena, "second", environment))
        rows.append(("killed; its successor, until it answers", await _restart(client, second, probes)))
        rows.append(("memory then", read_memory(second.pid).shown()))
        second.kill()
        rows += await _under_load(arena, environment, plan.backlog)
    kept = "on disk, with local checkpoints" if plan.on_disk else "in memory"
    title = f"one worker, {state.tenants:,} tenants and {state.keys:,} remembered keys, state {kept}"
    return Grid(title, ("measured", "figure"), rows)


async def _restart(client: Client, program: Program, probes: Sequence[Consume]) -> str:
    """Seconds to the first answer. Every probe must be remembered."""
    _, seconds = await first_answer(client, program, probes[0])
    for probe in probes:
        result, _ = await first_answer(client, program, probe)
        if not result.replayed:
            raise WrongResults(f"preloaded key {probe.idempotency_key!r} was executed again")
    return f"{seconds:.1f} s"


async def _under_load(arena: Arena, environment: Mapping[str, str], backlog: int) -> list[tuple[str, str]]:
    """Measure a worker on a backlog of commands of preloaded tenants."""
    with Reader(arena.platform.bootstrap, RESULTS) as reader:
        await asyncio.to_thread(reader.skip_to_end)
        await arena.send_consumes(backlog)
        async with worker(arena, "third", environment) as program, sampled(program.pid) as highest:
            seen = await throughput.measure(reader, backlog, program.check, stall_s=LONGEST_S)
    return [
        (f"{backlog:,} waiting commands", f"{seen.per_second:,.0f} commands/s"),
        ("highest memory meanwhile", highest.shown()),
    ]


def _check_disk(arena: Arena, plan: Plan) -> None:
    needed = DISK_TIMES * (plan.state.keys * ENTRY_BYTES + plan.state.tenants * ACCOUNT_BYTES)
    free = shutil.disk_usage(arena.folder).free
    if free < needed:
        raise FreeDisk(f"{arena.folder.parent} needs {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free")
