"""Measures how long a killed worker's successor takes to answer, by the size of the history."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bench import throughput
from bench.arena import open_arena
from bench.grid import Grid
from bench.growth.curve import Chart, Series
from bench.growth.successor import first_answer, patient_client, state_environment, worker
from bench.reading import Reader
from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.tables import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.program import Program
    from shieldx.settings import Settings

PARTITIONS = 4
CHECKPOINTS = {False: "from the topics", True: "from a local checkpoint"}


async def measure(
    settings: Settings,
    histories: Sequence[int],
    *,
    with_checkpoint: bool,
    limit_mb: int | None,
    progress: Callable[[str], None],
) -> dict[int, float]:
    """Seconds from the successor's start to its first answer, by number of commands, on one growing log."""
    found = {}
    async with open_arena(settings, PARTITIONS, progress) as arena, AsyncExitStack() as running:
        folder = str(arena.folder / "state") if with_checkpoint else None
        environment = state_environment(folder, limit_mb)
        client = await running.enter_async_context(patient_client(arena))
        program: Program = await running.enter_async_context(worker(arena, "worker-0", environment))
        reader = running.enter_context(Reader(arena.platform.bootstrap, RESULTS))
        await arena.send_backlog(histories[0])
        written = histories[0]
        unread = written
        for number, history in enumerate(histories):
            await arena.send_consumes(history - written)
            await throughput.wait_for(reader, unread + history - written, program.check)
            program.kill()
            program = await running.enter_async_context(worker(arena, f"worker-{number + 1}", environment))
            command = Consume(tenant_id="org-0", idempotency_key=f"after-{history}", amount=1)
            _, found[history] = await first_answer(client, program, command)
            progress(f"{history:,} commands, {CHECKPOINTS[with_checkpoint]}: {found[history]:.2f} s")
            written, unread = history, 1
    return found


def grid(found: dict[bool, dict[int, float]]) -> Grid:
    """A table with one row per length of history."""
    rows = [
        [f"{history:,}", *(f"{seconds[history]:.2f}" for seconds in found.values())]
        for history in sorted(next(iter(found.values())))
    ]
    heading = ("commands of history", *(f"{CHECKPOINTS[each]}, s" for each in found))
    return Grid("from the start of a killed worker's successor to its first answer", heading, rows)


def chart(found: dict[bool, dict[int, float]]) -> Chart:
    """A chart with one line with and one without local checkpoints."""
    histories = sorted(next(iter(found.values())))
    lines = [Series(CHECKPOINTS[each], [seconds[h] for h in histories]) for each, seconds in found.items()]
    names = [f"{history / 1000:,g}k" for history in histories]
    return Chart("Restart over history", "commands of history", "seconds", names, lines)
