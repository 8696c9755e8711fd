"""Runs workers of several agents in one process, with one health server."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from shieldx.bootstrap.workers import make_workers
from shieldx.engine.operations.health import HealthServer
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.topics.partition_count import agents_behind, check_counts
from shieldx.errors import ShieldXError
from shieldx.sinks.database import CheckPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.bootstrap.platform import Platform
    from shieldx.bootstrap.workers import AnyWorker
    from shieldx.engine.declarations.agent import Agent

logger = logging.getLogger(__name__)

READY_POLL_S = 0.05


async def run_workers(
    platform: Platform, agents: Sequence[Agent], stopping: asyncio.Event, when_ready: Callable[[str], None]
) -> None:
    """Check the agents' topics, and work until the event is set. `when_ready` gets the health server's address.

    Raises:
        FixConfiguration: A topic or setting prevents the work.
        RestoreTask: The broker became unavailable before the workers had started.
    """
    await _check_partition_count(platform, agents)
    for agent in agents:
        await platform.topic_admin.check(agent, platform.topics, partitions=platform.partitions)
    if any(agent.needs_postgres for agent in agents):
        await _check_schema(platform)
    _spare_the_garbage_collector()
    metrics = Metrics(agents)
    made = make_workers(platform, agents, metrics)
    workers = [worker for worker, _ in made]
    settings = platform.settings
    health = HealthServer(
        settings.health_host,
        settings.health_port,
        metrics.registry,
        lambda: all(worker.ready for worker in workers),
        lambda: [worker.waiting_for for worker in workers if not worker.ready],
    )
    async with AsyncExitStack() as open_until_stopped:
        await open_until_stopped.enter_async_context(health)
        for _, log in made:
            await log.start()
            open_until_stopped.push_async_callback(log.stop)
        await _work(workers, stopping, lambda: when_ready(health.address))


async def _check_partition_count(platform: Platform, agents: Sequence[Agent]) -> None:
    """Reject data of another partition count, also where an agent has no position yet: its tenants are elsewhere."""
    behind = {each.name for agent in agents for each in agents_behind(agent, platform.agents.values())}
    check_counts(await platform.counts_written(platform.agents[name] for name in sorted(behind)), platform.partitions)


async def _check_schema(platform: Platform) -> None:
    """Reject a schema of another version. A Postgres that is down does not prevent other agents from working."""
    try:
        state = await platform.schema.state()
    except CheckPostgres as error:
        logger.warning("sinks wait: %s", error)
    else:
        state.check()


def _spare_the_garbage_collector() -> None:
    """Freeze the objects loaded so far, and collect less often: a batch creates many objects but no cycles.

    With the default settings, the ledger spends a fifth of its time on garbage collection.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


async def _work(workers: Sequence[AnyWorker], stopping: asyncio.Event, when_ready: Callable[[], None]) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                tasks.create_task(worker.run())
            announcing = tasks.create_task(_announce(workers, when_ready))
            await stopping.wait()
            announcing.cancel()
            for worker in workers:
                worker.stop()
    except* ShieldXError as group:
        raise _first(group) from None


async def _announce(workers: Sequence[AnyWorker], when_ready: Callable[[], None]) -> None:
    while not all(worker.ready for worker in workers):  # noqa: ASYNC110 - readiness is a question, not an event
        await asyncio.sleep(READY_POLL_S)
    when_ready()


def _first(group: BaseExceptionGroup[ShieldXError]) -> ShieldXError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
