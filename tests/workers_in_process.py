"""Workers of the platform's own agents, in the process of a test."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from shieldx.bootstrap.workers import make_workers
from shieldx.engine.operations.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shieldx.bootstrap.platform import Platform


@asynccontextmanager
async def running(platform: Platform, *agents: str) -> AsyncIterator[None]:
    """Workers of some agents, which are stopped gracefully on exit; what one of them failed with is raised."""
    chosen = [platform.agent(name) for name in agents]
    made = make_workers(platform, chosen, Metrics(chosen))
    async with AsyncExitStack() as started:
        for _, service in made:
            await service.start()
            started.push_async_callback(service.stop)
        works = [asyncio.create_task(worker.run()) for worker, _ in made]
        try:
            yield
        finally:
            for worker, _ in made:
                worker.stop()
            await asyncio.gather(*works)
